//! A small line of the last minutes and the area below it, as SVG inside the page: no script, no image to load.

use std::fmt::Write as _;

/// The drawing's size, in its own units; the style sheet decides how large it is shown.
const WIDTH: f64 = 240.0;
const HEIGHT: f64 = 40.0;

/// Room above and below the line, so that its stroke is not cut.
const MARGIN: f64 = 2.0;

/// Draws `values`, the newest at the right, zero at the bottom. `what` is the alternative text.
pub fn draw(what: &str, values: &[f64]) -> String {
    // A single value is drawn as a level line.
    let values = if let &[only] = values { &[only, only] } else { values };
    let highest = values.iter().copied().fold(0.0, f64::max);
    let scale = if highest > 0.0 { (HEIGHT - 2.0 * MARGIN) / highest } else { 0.0 };
    let steps = values.len().saturating_sub(1).max(1);
    let mut points = String::new();
    for (n, value) in values.iter().enumerate() {
        let x = WIDTH * fraction(n, steps);
        let y = HEIGHT - MARGIN - value.max(0.0) * scale;
        // Writing to a string does not fail.
        let _ = write!(points, "{x:.1},{y:.1} ");
    }
    let points = points.trim_end();
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\" role=\"img\" \
         aria-label=\"{what}\"><polygon points=\"0,{HEIGHT} {points} {WIDTH},{HEIGHT}\"/>\
         <polyline points=\"{points}\"/></svg>"
    )
}

#[allow(clippy::cast_precision_loss, reason = "for a picture")]
fn fraction(n: usize, of: usize) -> f64 {
    n as f64 / of as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_is_at_the_top_and_zero_at_the_bottom() {
        let drawn = draw("jobs", &[0.0, 5.0, 10.0]);
        assert!(drawn.contains("<polyline points=\"0.0,38.0 120.0,20.0 240.0,2.0\""), "{drawn}");
        assert!(drawn.contains("=\"0,40 0.0,38.0 120.0,20.0 240.0,2.0 240,40\""), "{drawn}");
        assert!(drawn.contains("aria-label=\"jobs\""), "{drawn}");
    }

    #[test]
    fn nothing_one_value_and_nothing_but_zeros_are_flat() {
        assert!(draw("jobs", &[]).contains("<polyline points=\"\""));
        assert!(draw("jobs", &[5.0]).contains("<polyline points=\"0.0,2.0 240.0,2.0\""));
        assert!(draw("jobs", &[0.0, 0.0]).contains("<polyline points=\"0.0,38.0 240.0,38.0\""));
    }
}
