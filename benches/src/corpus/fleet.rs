//! Who writes: sources, each with its pods, the hosts these run on, and the templates that its code contains.

use super::random::{Random, Weighted};
use super::templates::{Templates, write_hex, write_number};

/// Sources of a corpus; the n-th writes 1/n as much as the first.
pub(crate) const SOURCES: [&str; 50] = [
    "edge-gateway",
    "catalog-api",
    "checkout-api",
    "cart-service",
    "orders-api",
    "session-store",
    "search-api",
    "payment-bridge",
    "stock-keeper",
    "profile-api",
    "event-relay",
    "price-engine",
    "mail-sender",
    "image-resizer",
    "recommender",
    "fraud-scoring",
    "ledger",
    "parcel-tracker",
    "warehouse-sync",
    "auth-issuer",
    "postgres-main",
    "postgres-replica",
    "redis-cache",
    "kafka-broker",
    "object-proxy",
    "block-store",
    "ingress-nginx",
    "kube-agent",
    "scheduler",
    "cron-runner",
    "metrics-agent",
    "dns-resolver",
    "vault-keeper",
    "mobile-backend",
    "partner-feed",
    "invoice-printer",
    "refund-worker",
    "coupon-service",
    "review-moderator",
    "chat-bridge",
    "geo-lookup",
    "tax-calculator",
    "report-builder",
    "data-export",
    "audit-trail",
    "feature-flags",
    "lease-keeper",
    "sshd",
    "switch-core",
    "backup-runner",
];

/// Levels with their weights in a thousand rows that are of no fixed share, in usual times and in a burst.
pub(crate) const LEVELS: [(&str, u64, u64); 5] =
    [("DEBUG", 141, 70), ("INFO", 749, 520), ("WARN", 69, 220), ("ERROR", 38, 185), ("FATAL", 3, 5)];

const HOSTS: u64 = 200;
const PODS: u64 = 1_000;
const REGIONS: [&str; 4] = ["eu-central-1", "eu-west-1", "us-east-1", "ap-south-1"];
const ENVIRONMENTS: [(&str, u64); 3] = [("production", 80), ("staging", 15), ("canary", 5)];
/// Templates of a level that one source's code contains, at most.
const TEMPLATES_OF_SOURCE: usize = 14;

/// A source and what it needs to write a row.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    /// `"tags":{…}` of each of its pods, ready to be written.
    pods: Vec<Vec<u8>>,
    pod_weights: Weighted,
    /// Templates by level, with the same weights for all.
    templates: Vec<Vec<usize>>,
}

/// All sources.
#[derive(Debug)]
pub(crate) struct Fleet {
    sources: Vec<Source>,
    weights: Weighted,
    template_weights: Weighted,
}

impl Fleet {
    /// The fleet of a seed.
    pub(crate) fn new(seed: u64, names: &[String], templates: &[Templates]) -> Self {
        let mut random = Random::branch(seed, 2);
        let hosts: Vec<Host> = (0..HOSTS).map(|number| Host::new(number, &mut random)).collect();
        let weights = Weighted::zipf(names.len() as u64);
        let mut sources: Vec<Source> =
            names.iter().map(|name| Source::new(name, templates, &mut random)).collect();
        // Each source has a pod; the others go where the rows are.
        for pod in 0..PODS {
            let first = usize::try_from(pod).unwrap_or(0);
            let owner = if first < names.len() { first } else { weights.index(&mut random) };
            if let (Some(source), Some(host)) = (sources.get_mut(owner), random.pick(&hosts).cloned()) {
                source.pods.push(host.tags(&source.name, &mut random));
            }
        }
        for source in &mut sources {
            source.pod_weights = Weighted::zipf(source.pods.len() as u64);
        }
        Self { sources, weights, template_weights: Weighted::zipf(TEMPLATES_OF_SOURCE as u64) }
    }

    /// A source: in a burst, half of the rows are from the one in trouble.
    pub(crate) fn source(&self, burst: Option<usize>, random: &mut Random) -> (usize, Option<&Source>) {
        let index = match burst {
            Some(source) if random.chance(1, 2) => source,
            _ => self.weights.index(random),
        };
        (index, self.sources.get(index))
    }

    /// One of the source's templates of a level.
    pub(crate) fn template(&self, source: &Source, level: usize, random: &mut Random) -> usize {
        let drawn = self.template_weights.index(random);
        source.templates.get(level).and_then(|templates| templates.get(drawn)).copied().unwrap_or(0)
    }
}

impl Source {
    fn new(name: &str, templates: &[Templates], random: &mut Random) -> Self {
        let templates = templates.iter().map(|level| level.draw(TEMPLATES_OF_SOURCE, random)).collect();
        Self { name: name.to_owned(), pods: Vec::new(), pod_weights: Weighted::new([]), templates }
    }

    /// The tags of one of its pods, as JSON.
    pub(crate) fn tags(&self, random: &mut Random) -> &[u8] {
        self.pods.get(self.pod_weights.index(random)).map(Vec::as_slice).unwrap_or_default()
    }
}

#[derive(Debug, Clone)]
struct Host {
    name: Vec<u8>,
    region: &'static str,
    environment: &'static str,
}

impl Host {
    fn new(number: u64, random: &mut Random) -> Self {
        let region = random.pick(&REGIONS).copied().unwrap_or_default();
        let shares = Weighted::new(ENVIRONMENTS.map(|(_, share)| share));
        let environment = ENVIRONMENTS.get(shares.index(random)).map(|(name, _)| *name).unwrap_or_default();
        let mut name = b"node-".to_vec();
        write_number(100 + number, &mut name);
        name.extend_from_slice(b".");
        name.extend_from_slice(region.as_bytes());
        name.extend_from_slice(b".internal");
        Self { name, region, environment }
    }

    fn tags(&self, source: &str, random: &mut Random) -> Vec<u8> {
        let mut tags = Vec::new();
        for part in [
            b"\"tags\":{\"env\":\"".as_slice(),
            self.environment.as_bytes(),
            b"\",\"region\":\"",
            self.region.as_bytes(),
            b"\",\"host\":\"",
            &self.name,
            b"\",\"pod\":\"",
            source.as_bytes(),
            b"-",
        ] {
            tags.extend_from_slice(part);
        }
        write_hex(9, random, &mut tags);
        tags.push(b'-');
        write_hex(5, random, &mut tags);
        tags.extend_from_slice(b"\"}");
        tags
    }
}
