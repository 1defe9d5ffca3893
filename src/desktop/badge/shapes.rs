//! The round marks: a missed call, and a pause.

use tiny_skia::{LineCap, Path, PathBuilder, PathStroker, Rect, Stroke, Transform};

use super::{digits, gap};

/// A disc at the upper edge of the icon.
#[derive(Clone, Copy)]
pub(super) struct Disc {
    /// In whole pixels.
    pub(super) diameter: u32,
    gap: f32,
}

impl Disc {
    pub(super) fn new(size: u32) -> Self {
        Self { diameter: size - digits::height(size), gap: gap(size) }
    }

    fn radius(self) -> f32 {
        self.diameter as f32 / 2.0
    }

    /// The disc, its left edge at `x`.
    pub(super) fn path(self, x: f32) -> Option<Path> {
        PathBuilder::from_circle(x + self.radius(), self.radius(), self.radius())
    }

    /// The clear ring around it.
    pub(super) fn halo(self, x: f32) -> Option<Path> {
        PathBuilder::from_circle(x + self.radius(), self.radius(), self.radius() + self.gap)
    }
}

/// A telephone handset on a disc at the left edge.
pub(super) fn handset(disc: Disc) -> Option<Path> {
    // In a box of one by one around the origin, lying on its back; turned so that the earpiece is at the upper left.
    let mut line = PathBuilder::new();
    line.move_to(-0.27, -0.06);
    line.quad_to(0.0, 0.22, 0.27, -0.06);
    let line = line.finish()?;
    let stroke = |path: &Path, width: f32, cap| {
        PathStroker::new().stroke(path, &Stroke { width, line_cap: cap, ..Stroke::default() }, 40.0)
    };
    let mut all = PathBuilder::new();
    all.push_path(&stroke(&line, 0.17, LineCap::Butt)?);
    for side in [-1.0, 1.0] {
        let mut pad = PathBuilder::new();
        pad.move_to(side * 0.25, 0.0);
        pad.line_to(side * 0.33, -0.13);
        all.push_path(&stroke(&pad.finish()?, 0.25, LineCap::Butt)?);
    }
    let path = all.finish()?.transform(Transform::from_rotate(45.0))?;
    let (bounds, diameter) = (path.compute_tight_bounds()?, disc.diameter as f32);
    let centred = Transform::from_translate(
        -f32::midpoint(bounds.left(), bounds.right()),
        -f32::midpoint(bounds.top(), bounds.bottom()),
    );
    path.transform(centred.post_scale(diameter, diameter).post_translate(disc.radius(), disc.radius()))
}

/// Two upright bars on a disc whose left edge is at `x`, on whole pixels.
pub(super) fn pause_bars(disc: Disc, x: f32) -> Option<Path> {
    let diameter = disc.diameter;
    let width = ((diameter as f32 * 0.17).round() as u32).max(1);
    // What is centred on whole pixels is odd or even as the disc is.
    let centred = |length: u32| length.saturating_sub((length + diameter) % 2);
    let between = centred(width).max(2 - diameter % 2);
    let height = centred((diameter as f32 * 0.5).round() as u32).max(1);
    let left = x + (diameter.saturating_sub(2 * width + between) / 2) as f32;
    let top = (diameter.saturating_sub(height) / 2) as f32;
    let mut bars = PathBuilder::new();
    for start in [left, left + (width + between) as f32] {
        bars.push_rect(Rect::from_xywh(start, top, width as f32, height as f32)?);
    }
    bars.finish()
}
