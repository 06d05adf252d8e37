//! The corpus of a run as a file, and what the generator knows of it.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::corpus::{Corpus, Needle, Spec, Terms};
use crate::{Error, Result};

/// What is known of a corpus, as far as questions are about it.
#[derive(Debug, Clone, Serialize)]
pub struct Outline {
    /// What it was made of.
    pub spec: Spec,
    /// Rows.
    pub rows: u64,
    /// Bytes as NDJSON.
    pub bytes: u64,
    /// A hash of these bytes, the same for the same toolchain.
    pub hash: String,
    #[serde(skip)]
    pub(super) terms: Terms,
    #[serde(skip)]
    pub(super) needles: Vec<Needle>,
    #[serde(skip)]
    pub(super) sources: Vec<String>,
    #[serde(skip)]
    pub(super) traces: Vec<String>,
}

impl Outline {
    /// Writes a corpus to a file.
    pub(super) fn write(spec: &Spec, path: &Path) -> Result<Self> {
        let folder = spec.templates_from.as_deref().unwrap_or(path);
        let mut corpus = Corpus::open(spec).map_err(Error::file(folder))?;
        let file = File::create(path).map_err(Error::file(path))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let (mut rows, mut bytes, mut hasher) = (0, 0, DefaultHasher::new());
        while let Some(record) = corpus.next_record() {
            rows += 1;
            bytes += record.line.len() as u64;
            hasher.write(record.line);
            out.write_all(record.line).map_err(Error::file(path))?;
        }
        out.flush().map_err(Error::file(path))?;
        Ok(Self {
            spec: spec.clone(),
            rows,
            bytes,
            hash: format!("{:016x}", hasher.finish()),
            terms: corpus.terms().clone(),
            needles: corpus.needles().to_vec(),
            sources: corpus.sources().to_vec(),
            traces: corpus.traces(),
        })
    }
}
