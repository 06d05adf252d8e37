//! The shop: who runs there, and what its requests touch.

/// A service of the shop.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: &'static str,
    /// What it says when it does its work; `{}` is replaced by an id.
    pub(super) works: &'static [&'static str],
}

/// A kind of request: its path, and the services that it passes, in order.
#[derive(Debug)]
pub(super) struct Journey {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) through: &'static [&'static str],
    /// How many of a thousand requests are of this kind.
    pub(super) share: u64,
}

/// The twenty services.
pub(super) const SERVICES: [Service; 20] = [
    Service { name: "gateway", works: &["request routed to upstream {}"] },
    Service { name: "web", works: &["rendered page in template {}", "static asset {} served from cache"] },
    Service { name: "auth", works: &["token verified for user {}", "session {} refreshed"] },
    Service { name: "users", works: &["profile of user {} loaded"] },
    Service { name: "catalog", works: &["product {} loaded", "category page {} assembled from 24 products"] },
    Service { name: "search", works: &["query returned 20 of {} products", "index shard {} answered"] },
    Service { name: "recommend", works: &["model v7 scored 50 candidates for user {}"] },
    Service { name: "pricing", works: &["price list {} applied"] },
    Service { name: "cart", works: &["item {} added to cart", "cart {} merged after login"] },
    Service { name: "checkout", works: &["order {} created", "order {} moved to state PAID"] },
    Service { name: "payments", works: &["charge {} authorised", "charge {} captured"] },
    Service { name: "fraud", works: &["order {} scored low risk"] },
    Service { name: "inventory", works: &["stock of sku {} reserved", "stock of sku {} released"] },
    Service { name: "shipping", works: &["label printed for parcel {}"] },
    Service { name: "mail", works: &["message {} queued for delivery"] },
    Service { name: "media", works: &["thumbnail {} resized to 320x240"] },
    Service { name: "reviews", works: &["12 reviews of product {} loaded"] },
    Service { name: "orders-db", works: &["checkpoint complete: wrote {} buffers", "statement {} executed"] },
    Service { name: "cache", works: &["evicted {} keys", "key catalog:{} refreshed"] },
    Service { name: "worker", works: &["job {} done", "scheduled report {} written"] },
];

/// What customers do.
pub(super) const JOURNEYS: [Journey; 7] = [
    Journey { method: "GET", path: "/", through: &["web", "catalog", "recommend"], share: 240 },
    Journey {
        method: "GET",
        path: "/products/{}",
        through: &["web", "catalog", "pricing", "reviews", "media"],
        share: 330,
    },
    Journey {
        method: "GET",
        path: "/search?q=shoes&page={}",
        through: &["web", "search", "pricing"],
        share: 200,
    },
    Journey { method: "POST", path: "/login", through: &["auth", "users"], share: 60 },
    Journey {
        method: "POST",
        path: "/cart/items/{}",
        through: &["auth", "cart", "inventory", "pricing"],
        share: 100,
    },
    Journey {
        method: "POST",
        path: "/checkout",
        through: &["auth", "cart", "checkout", "fraud", "payments", "orders-db", "inventory", "mail"],
        share: 50,
    },
    Journey {
        method: "GET",
        path: "/orders/{}",
        through: &["auth", "checkout", "shipping", "orders-db"],
        share: 20,
    },
];

/// Regions that the shop runs in.
pub(super) const REGIONS: [&str; 3] = ["eu-north-1", "eu-central-1", "us-east-1"];
