//! The unread bubble and the number in it.

use std::sync::LazyLock;

use ab_glyph::{Font, FontRef, OutlineCurve};
use tiny_skia::{Path, PathBuilder, Rect};

use super::gap;

/// Roboto Condensed Bold, cut down to the digits and the plus sign.
static FONT: LazyLock<Option<FontRef<'static>>> = LazyLock::new(|| {
    FontRef::try_from_slice(include_bytes!("../../../assets/fonts/RobotoCondensed-Bold-digits.ttf")).ok()
});

/// Height and advance of every digit of the font, in its units (the digits are as wide as each other).
const DIGIT_HEIGHT: f32 = 1456.0;
const ADVANCE: f32 = 1036.0;

/// The largest number that is written out; above it stands a plus sign.
pub(super) const MOST: u64 = 99;

/// The bubble at the lower right, all edges on whole pixels.
pub(super) struct Bubble {
    text: String,
    left: u32,
    top: u32,
    width: u32,
    height: u32,
    digit_height: u32,
    advance: u32,
    gap: f32,
}

impl Bubble {
    /// Lays it out: the largest digits that the number of characters leaves room for.
    pub(super) fn new(unread: u64, size: u32) -> Self {
        let text = if unread > MOST { format!("{MOST}+") } else { unread.to_string() };
        let characters = text.len() as u32;
        let height = height(size);
        let padding = (0.16 * height as f32).round().max(1.0) as u32;
        let fits = |&digit: &u32| characters * advance(digit) + 2 * side(digit, characters) <= size;
        let digit_height = (1..=height.saturating_sub(2 * padding)).rev().find(fits).unwrap_or(1);
        let advance = advance(digit_height);
        let width = (characters * advance + 2 * side(digit_height, characters)).max(height);
        let width = if width + 1 == size { size } else { width };
        Self { text, left: size - width, top: size - height, width, height, digit_height, advance, gap: gap(size) }
    }

    /// The bubble.
    pub(super) fn path(&self) -> Option<Path> {
        self.pill(0.0)
    }

    /// The clear ring around it.
    pub(super) fn halo(&self) -> Option<Path> {
        self.pill(self.gap)
    }

    fn pill(&self, grown: f32) -> Option<Path> {
        let rect = Rect::from_xywh(
            self.left as f32 - grown,
            self.top as f32 - grown,
            self.width as f32 + 2.0 * grown,
            self.height as f32 + 2.0 * grown,
        )?;
        let radius = rect.height().min(rect.width()) / 2.0;
        rounded(rect, radius)
    }

    /// The number: baseline and height on whole pixels, and each digit a whole number of pixels wide.
    pub(super) fn number(&self) -> Option<Path> {
        let font = FONT.as_ref()?;
        let scale_y = self.digit_height as f32 / DIGIT_HEIGHT;
        let scale_x = self.advance as f32 / ADVANCE;
        let written = self.text.len() as u32 * self.advance;
        let mut x = (self.left + self.width.saturating_sub(written).div_ceil(2)) as f32;
        let baseline = (self.top + (self.height - self.digit_height) / 2 + self.digit_height) as f32;
        let mut path = PathBuilder::new();
        for character in self.text.chars() {
            let outline = font.outline(font.glyph_id(character))?;
            let place = |point: ab_glyph::Point| (x + point.x * scale_x, baseline - point.y * scale_y);
            append(&mut path, &outline.curves, place);
            x += self.advance as f32;
        }
        path.finish()
    }
}

/// Height of the bubble: it leaves room above itself for the round marks.
pub(super) fn height(size: u32) -> u32 {
    (0.57 * size as f32).round() as u32
}

/// Whole pixels from one digit to the next.
fn advance(digit_height: u32) -> u32 {
    (digit_height as f32 * ADVANCE / DIGIT_HEIGHT).round() as u32
}

/// Room left and right of the number: three characters reach into the round ends.
fn side(digit_height: u32, characters: u32) -> u32 {
    if characters > 2 { digit_height / 8 } else { digit_height / 4 }
}

fn append(path: &mut PathBuilder, curves: &[OutlineCurve], place: impl Fn(ab_glyph::Point) -> (f32, f32)) {
    let mut pen = None;
    for curve in curves {
        let (OutlineCurve::Line(start, end)
        | OutlineCurve::Quad(start, _, end)
        | OutlineCurve::Cubic(start, _, _, end)) = *curve;
        if pen != Some(start) {
            let (x, y) = place(start);
            path.move_to(x, y);
        }
        let (x, y) = place(end);
        match *curve {
            OutlineCurve::Line(..) => path.line_to(x, y),
            OutlineCurve::Quad(_, control, _) => {
                let (x1, y1) = place(control);
                path.quad_to(x1, y1, x, y);
            }
            OutlineCurve::Cubic(_, first, second, _) => {
                let ((x1, y1), (x2, y2)) = (place(first), place(second));
                path.cubic_to(x1, y1, x2, y2, x, y);
            }
        }
        pen = Some(end);
    }
}

fn rounded(rect: Rect, radius: f32) -> Option<Path> {
    // A quarter of a circle as a cubic curve.
    const ROUND: f32 = 0.552_284_8;
    let (left, top, right, bottom) = (rect.left(), rect.top(), rect.right(), rect.bottom());
    let pull = radius * (1.0 - ROUND);
    let mut path = PathBuilder::new();
    path.move_to(left + radius, top);
    path.line_to(right - radius, top);
    path.cubic_to(right - pull, top, right, top + pull, right, top + radius);
    path.line_to(right, bottom - radius);
    path.cubic_to(right, bottom - pull, right - pull, bottom, right - radius, bottom);
    path.line_to(left + radius, bottom);
    path.cubic_to(left + pull, bottom, left, bottom - pull, left, bottom - radius);
    path.line_to(left, top + radius);
    path.cubic_to(left, top + pull, left + pull, top, left + radius, top);
    path.close();
    path.finish()
}
