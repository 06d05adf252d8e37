//! CPU time of each question and engine as a drawing: bars on a logarithmic scale, shorter is better.

use std::fmt::Write as _;

use super::report::{Engine, ours};

const COLOURS: [&str; 6] = ["#b5542b", "#4c78a8", "#72a66f", "#9d7ab3", "#c9a83f", "#7f7f7f"];
const WIDTH: f64 = 900.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 70.0;
const TOP: f64 = 40.0;
const BAR: f64 = 9.0;
const GAP: f64 = 8.0;
/// The scale's ends, in powers of ten of milliseconds.
const POWER_MIN: i32 = -2;
const POWER_MAX: i32 = 4;

/// The drawing of all engines' medians.
pub(super) fn svg(engines: &[Engine]) -> String {
    let mut body = String::new();
    let mut y = TOP;
    for name in ours(engines).iter().map(|figures| figures.name) {
        let before = y;
        for (engine, colour) in engines.iter().zip(COLOURS.iter().cycle()) {
            if let Some(hot) = engine.hot(name) {
                let ms = hot.cpu_ms_median;
                let end = place(ms);
                // Writing to a String cannot fail.
                let _ = writeln!(
                    body,
                    "<rect class=\"bar\" x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\" class=\"n\">{ms:.1}</text>",
                    end - LEFT,
                    BAR - 1.0,
                    end + 3.0,
                    y + BAR - 2.0
                );
            }
            y += BAR;
        }
        let _ = writeln!(body, "<text x=\"8\" y=\"{:.1}\">{name}</text>", f64::midpoint(before, y) + 4.0);
        y += GAP;
    }
    let mut head = String::new();
    for power in POWER_MIN..=POWER_MAX {
        let ms = 10_f64.powi(power);
        let x = place(ms);
        let _ = writeln!(
            head,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" class=\"n\">{ms} ms</text>",
            y + 12.0
        );
    }
    let mut x = LEFT;
    for (engine, colour) in engines.iter().zip(COLOURS.iter().cycle()) {
        let _ = writeln!(
            head,
            "<rect x=\"{x}\" y=\"12\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"21\">{}</text>",
            x + 14.0,
            engine.name
        );
        x += 130.0;
    }
    let height = y + 24.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<style>.n {{ font-size: 9px; fill: #444 }}</style>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n{head}{body}</svg>\n"
    )
}

/// Where a time's bar ends.
fn place(ms: f64) -> f64 {
    let (least, most) = (f64::from(POWER_MIN), f64::from(POWER_MAX));
    let share = (ms.max(1e-9).log10() - least) / (most - least);
    LEFT + share.clamp(0.0, 1.0) * (WIDTH - LEFT - RIGHT)
}
