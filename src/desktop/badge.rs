//! Numbers to pixels (pure): the tray icon with its unread bubble, missed-call mark and pause mark.
//!
//! Everything is laid out for the size asked for, with bubbles, digits and bars on whole pixels: a picture that is
//! drawn large and scaled down has no sharp digit left at 22 pixels.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "coordinates of at most 256 pixels and channels of 0 to 255 are exact in f32"
)]

mod bell;
mod digits;
mod shapes;

use tiny_skia::{BlendMode, Color, Paint, Path, Pixmap, PixmapPaint, PremultipliedColorU8, Transform};

pub use crate::desktop::tray_view::Badge;

/// Sizes that can be drawn; others are drawn at the nearest.
const SIZES: std::ops::RangeInclusive<u32> = 8..=256;

/// How the icon is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Look {
    /// In colour, readable on any panel.
    Color,
    /// In one colour.
    Symbolic {
        /// Whether the panel is dark; `None` when nobody can say: then light with a dark outline.
        dark_panel: Option<bool>,
    },
}

/// A square picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Pixels in a row.
    pub width: u32,
    /// Rows, top to bottom.
    pub height: u32,
    /// Red, green, blue, alpha of each pixel; not premultiplied. `4 * width * height` bytes.
    pub rgba: Vec<u8>,
}

/// What a picture of the tray icon depends on: those that are equal are the same to every pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawing {
    badge: Badge,
    paused: bool,
    look: Look,
    size: u32,
}

impl Drawing {
    /// The tray icon, `size` pixels wide and high (8 to 256).
    #[must_use]
    pub fn new(badge: Badge, paused: bool, look: Look, size: u32) -> Self {
        // From there on numbers look the same.
        let badge = Badge { unread: badge.unread.min(digits::MOST + 1), missed_calls: badge.missed_calls.min(1) };
        Self { badge, paused, look, size: size.clamp(*SIZES.start(), *SIZES.end()) }
    }

    /// Draws it.
    #[must_use]
    pub fn pixels(self) -> Pixels {
        let Self { badge, paused, look, size } = self;
        let outlined = look == Look::Symbolic { dark_panel: None };
        let picture = if outlined {
            let edge = if size < 40 { 1 } else { 2 };
            compose(badge, paused, look, size - 2 * edge).and_then(|canvas| outline(&canvas, edge))
        } else {
            compose(badge, paused, look, size)
        };
        picture.map_or_else(
            || Pixels { width: size, height: size, rgba: vec![0; 4 * size as usize * size as usize] },
            |canvas| demultiply(&canvas),
        )
    }
}

/// Draws the tray icon, `size` pixels wide and high (8 to 256).
#[must_use]
pub fn draw(badge: Badge, paused: bool, look: Look, size: u32) -> Pixels {
    Drawing::new(badge, paused, look, size).pixels()
}

fn compose(badge: Badge, paused: bool, look: Look, size: u32) -> Option<Pixmap> {
    let mut canvas = bell::render(look, size)?;
    let palette = Palette::of(look, paused);
    if paused {
        dim(&mut canvas, look);
    }
    let disc = shapes::Disc::new(size);
    let right = (size - disc.diameter) as f32;
    let mut marks = Vec::with_capacity(3);
    if badge.unread > 0 {
        let bubble = digits::Bubble::new(badge.unread, size);
        marks.push(Mark {
            halo: bubble.halo(),
            shape: bubble.path(),
            sign: bubble.number(),
            fill: palette.unread,
            sign_fill: palette.sign,
        });
    }
    if paused {
        marks.push(Mark {
            halo: disc.halo(right),
            shape: disc.path(right),
            sign: shapes::pause_bars(disc, right),
            fill: palette.pause,
            sign_fill: palette.sign,
        });
    }
    if badge.missed_calls > 0 {
        marks.push(Mark {
            halo: disc.halo(0.0),
            shape: disc.path(0.0),
            sign: shapes::handset(disc),
            fill: palette.call,
            sign_fill: palette.call_sign,
        });
    }
    stamp(&mut canvas, &marks);
    Some(canvas)
}

/// Width of the clear ring that keeps a mark apart from the bell, in pixels.
fn gap(size: u32) -> f32 {
    (size as f32 / 24.0).round().max(1.0)
}

struct Palette {
    unread: Color,
    call: Color,
    pause: Color,
    /// Of what stands on a mark; `None`: cut out of it.
    sign: Option<Color>,
    call_sign: Option<Color>,
}

impl Palette {
    fn of(look: Look, paused: bool) -> Self {
        match look {
            Look::Color => Self {
                unread: if paused { rgb(0xa8, 0x3a, 0x3a) } else { rgb(0xdc, 0x1f, 0x26) },
                call: rgb(0xff, 0xb0, 0x1f),
                pause: rgb(0x5b, 0x68, 0x78),
                sign: Some(Color::WHITE),
                call_sign: Some(rgb(0x3d, 0x22, 0x00)),
            },
            Look::Symbolic { dark_panel } => {
                let tone = symbolic_tone(dark_panel);
                let sign = if dark_panel.is_none() { Some(outline_tone()) } else { None };
                Self { unread: tone, call: tone, pause: tone, sign, call_sign: sign }
            }
        }
    }
}

fn rgb(red: u8, green: u8, blue: u8) -> Color {
    Color::from_rgba8(red, green, blue, 0xff)
}

fn symbolic_tone(dark_panel: Option<bool>) -> Color {
    match dark_panel {
        Some(false) => rgb(0x2e, 0x34, 0x36),
        Some(true) | None => rgb(0xf4, 0xf4, 0xf4),
    }
}

/// The dark edge of a light icon on a panel that may be light or dark, and the signs within it.
fn outline_tone() -> Color {
    rgb(0x24, 0x29, 0x2b)
}

/// Something that stands on the bell: a filled shape with a sign on it and a clear ring around it.
struct Mark {
    halo: Option<Path>,
    shape: Option<Path>,
    sign: Option<Path>,
    fill: Color,
    /// `None`: the sign is cut out of the shape.
    sign_fill: Option<Color>,
}

/// Puts the marks on the bell. All rings are cleared first: they keep marks apart from the bell, not from each other.
fn stamp(canvas: &mut Pixmap, marks: &[Mark]) {
    for mark in marks {
        fill(canvas, mark.halo.as_ref(), None);
    }
    for mark in marks {
        fill(canvas, mark.shape.as_ref(), Some(mark.fill));
        fill(canvas, mark.sign.as_ref(), mark.sign_fill);
    }
}

/// Fills the path with the colour, or cuts it out.
fn fill(canvas: &mut Pixmap, path: Option<&Path>, color: Option<Color>) {
    let Some(path) = path else { return };
    let mut paint = Paint::default();
    paint.set_color(color.unwrap_or(Color::BLACK));
    paint.blend_mode = if color.is_some() { BlendMode::SourceOver } else { BlendMode::DestinationOut };
    canvas.fill_path(path, &paint, tiny_skia::FillRule::Winding, Transform::identity(), None);
}

/// Paused: the bell loses its colour and half of its strength.
fn dim(canvas: &mut Pixmap, look: Look) {
    let strength = match look {
        Look::Color => 0.75,
        Look::Symbolic { .. } => 0.5,
    };
    for pixel in canvas.pixels_mut() {
        let grey = 0.3 * f32::from(pixel.red()) + 0.59 * f32::from(pixel.green()) + 0.11 * f32::from(pixel.blue());
        let channel = |value: u8| ((0.25 * f32::from(value) + 0.75 * grey) * strength) as u8;
        let alpha = (f32::from(pixel.alpha()) * strength).ceil() as u8;
        let (red, green, blue) = (channel(pixel.red()), channel(pixel.green()), channel(pixel.blue()));
        *pixel = premultiplied(red, green, blue, alpha);
    }
}

/// Puts a dark edge of so many pixels around everything that is drawn: the picture grows by it on each side.
fn outline(inner: &Pixmap, edge: u32) -> Option<Pixmap> {
    let mut canvas = Pixmap::new(inner.width() + 2 * edge, inner.height() + 2 * edge)?;
    let tone = outline_tone();
    let width = canvas.width();
    // The part of the inner picture that is near a column or row of the grown one.
    let near = |at: u32, length: u32| at.saturating_sub(2 * edge)..(at + 1).min(length);
    for (index, pixel) in (0..).zip(canvas.pixels_mut()) {
        let (x, y) = (index % width, index / width);
        let around = near(y, inner.height()).flat_map(|row| near(x, inner.width()).map(move |column| (column, row)));
        let alpha = around.filter_map(|(column, row)| inner.pixel(column, row)).map(PremultipliedColorU8::alpha).max();
        let alpha = alpha.unwrap_or_default();
        let channel = |value: f32| (value * f32::from(alpha)).round() as u8;
        *pixel = premultiplied(channel(tone.red()), channel(tone.green()), channel(tone.blue()), alpha);
    }
    let at = i32::try_from(edge).ok()?;
    canvas.draw_pixmap(at, at, inner.as_ref(), &PixmapPaint::default(), Transform::identity(), None);
    Some(canvas)
}

fn premultiplied(red: u8, green: u8, blue: u8, alpha: u8) -> PremultipliedColorU8 {
    PremultipliedColorU8::from_rgba(red.min(alpha), green.min(alpha), blue.min(alpha), alpha)
        .unwrap_or(PremultipliedColorU8::TRANSPARENT)
}

fn demultiply(canvas: &Pixmap) -> Pixels {
    let rgba = canvas
        .pixels()
        .iter()
        .flat_map(|pixel| {
            let color = pixel.demultiply();
            [color.red(), color.green(), color.blue(), color.alpha()]
        })
        .collect();
    Pixels { width: canvas.width(), height: canvas.height(), rgba }
}
