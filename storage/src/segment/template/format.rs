//! How templates and runs lie in an index: the length of what follows once it is decompressed (u32, little-endian), then a
//! zstd frame, and in it
//!
//! ```text
//!   version u8 = 1
//!   sources       n, then n names
//!   levels        n, then n names
//!   templates     n, then for each: parts, then each part: 0 and bytes, or 1, its bytes in ASCII u128
//!                 (little-endian, byte 0 the lowest bit), u8 = 1 if there may be others, min, max - min
//!   row groups    n, then for each: runs, then of all its runs: sources, levels, templates, rows
//! ```
//!
//! Numbers, names and bytes as in `varint.rs`. Decoding never panics; errors are reasons.

use super::{ByteSet, Part, Run, Slot, Template, Templates};
use crate::segment::varint::{Input, put, put_bytes, put_len, put_name};

const VERSION: u8 = 1;
/// zstd level: the text of templates and columns of small numbers.
const ZSTD_LEVEL: i32 = 6;
/// Most bytes behind the compression.
const BYTES_MAX: usize = 64 << 20;
/// Longest name of a source or level.
const NAME_BYTES_MAX: usize = 1 << 20;
const TEXT: u8 = 0;
const SLOT: u8 = 1;
/// The numbers of a run in their order.
const NUMBERS: [fn(&Run) -> u32; 4] = [|run| run.source, |run| run.level, |run| run.template, |run| run.rows];

impl Templates {
    /// The bytes of all this; `None` where they are too many.
    pub(in crate::segment) fn encode(&self) -> Option<Vec<u8>> {
        let mut out = vec![VERSION];
        for names in [&self.sources, &self.levels] {
            put_len(&mut out, names.len());
            for name in names {
                put_name(&mut out, name.as_deref());
            }
        }
        put_len(&mut out, self.templates.len());
        for template in &self.templates {
            put_template(&mut out, template);
        }
        put_len(&mut out, self.row_groups.len());
        for runs in &self.row_groups {
            put_len(&mut out, runs.len());
            for number in NUMBERS {
                for run in runs {
                    put(&mut out, u64::from(number(run)));
                }
            }
        }
        let length = u32::try_from(out.len()).ok().filter(|_| out.len() <= BYTES_MAX)?;
        let frame = zstd::bulk::compress(&out, ZSTD_LEVEL).ok()?;
        Some([&length.to_le_bytes(), frame.as_slice()].concat())
    }

    /// From the bytes of [`Self::encode`]. The error is the reason why they are none.
    pub(in crate::segment) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (length, frame) = bytes.split_first_chunk().ok_or("it is cut off")?;
        let length = u32::from_le_bytes(*length) as usize;
        if length > BYTES_MAX {
            return Err(format!("templates of {length} bytes, more than {BYTES_MAX}"));
        }
        let bytes = zstd::bulk::decompress(frame, length).map_err(|error| error.to_string())?;
        decode(&bytes).map_err(str::to_owned)
    }
}

fn put_template(out: &mut Vec<u8>, template: &Template) {
    put_len(out, template.parts.len());
    for part in template.parts.iter() {
        match part {
            Part::Text(text) => {
                out.push(TEXT);
                put_bytes(out, text);
            }
            Part::Slot(Slot { bytes, min, max }) => {
                let (ascii, beyond) = bytes.parts();
                out.push(SLOT);
                out.extend_from_slice(&ascii.to_le_bytes());
                out.push(u8::from(beyond));
                put(out, u64::from(*min));
                put(out, u64::from(max - min));
            }
        }
    }
}

fn decode(bytes: &[u8]) -> Result<Templates, &'static str> {
    let mut input = Input(bytes);
    if input.byte()? != VERSION {
        return Err("unknown version");
    }
    // Everything takes a byte at least.
    let len_max = bytes.len();
    let mut names = || {
        let count = input.len(len_max)?;
        let names = (0..count).map(|_| Ok(input.name(NAME_BYTES_MAX)?.map(Into::into)));
        names.collect::<Result<Vec<_>, &'static str>>()
    };
    let (sources, levels) = (names()?, names()?);
    let count = input.len(len_max)?;
    let templates = (0..count).map(|_| get_template(&mut input)).collect::<Result<Vec<_>, _>>()?;
    let count = input.len(len_max)?;
    let limits = [sources.len(), levels.len(), templates.len()];
    let row_groups = (0..count).map(|_| get_runs(&mut input, limits)).collect::<Result<Vec<_>, _>>()?;
    input.end()?;
    Ok(Templates { sources, levels, templates, row_groups })
}

fn get_template(input: &mut Input<'_>) -> Result<Template, &'static str> {
    let count = input.len(input.0.len())?;
    let mut parts = Vec::with_capacity(count);
    for _ in 0..count {
        parts.push(match input.byte()? {
            TEXT => Part::Text(input.bytes()?.into()),
            SLOT => {
                let ascii = input.take(size_of::<u128>())?.first_chunk().ok_or("it ends too early")?;
                let bytes = ByteSet::from_parts(u128::from_le_bytes(*ascii), input.byte()? != 0);
                let (min, more) = (input.small()?, input.small()?);
                let max = min.checked_add(more).ok_or("a slot is too long")?;
                Part::Slot(Slot { bytes, min, max })
            }
            _ => return Err("a part of a template is of an unknown kind"),
        });
    }
    Ok(Template::new(parts))
}

fn get_runs(input: &mut Input<'_>, limits: [usize; 3]) -> Result<Vec<Run>, &'static str> {
    let count = input.len(input.0.len())?;
    let mut runs = vec![Run { source: 0, level: 0, template: 0, rows: 0 }; count];
    for run in &mut runs {
        run.source = input.small()?;
    }
    for run in &mut runs {
        run.level = input.small()?;
    }
    for run in &mut runs {
        run.template = input.small()?;
    }
    for run in &mut runs {
        run.rows = input.small()?;
    }
    let is_known = |place: u32, limit: usize| usize::try_from(place).is_ok_and(|place| place < limit);
    let [sources, levels, templates] = limits;
    let all_known = runs.iter().all(|run| {
        is_known(run.source, sources)
            && is_known(run.level, levels)
            && is_known(run.template, templates)
            && run.rows > 0
    });
    if all_known { Ok(runs) } else { Err("a run is of something unknown, or empty") }
}
