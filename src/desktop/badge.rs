//! Draws the tray icon (pure): bell, unread bubble, missed-call mark and pause mark, composed as an SVG image.
//!
//! Everything is laid out for the requested size, with bubbles, digits and bars on whole pixels: digits of a large
//! picture scaled down to 22 pixels are not sharp.
#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "coordinates of at most 256 pixels are exact in f32"
)]

use resvg::usvg::{Options, Tree};
use tiny_skia::{Pixmap, PremultipliedColorU8, Transform};

pub use crate::desktop::tray_view::Badge;

/// Supported sizes, in pixels; others are clamped.
const SIZES: std::ops::RangeInclusive<u32> = 8..=256;

/// The largest number that is written out; larger ones become this with a plus sign.
const MAX_NUMBER: u64 = 99;

/// The size of the square in which the bell is defined.
const BELL_SIZE: f32 = 64.0;
const COLOR_BELL: &str = include_str!("../../assets/icons/pushbell.svg");
const SYMBOLIC_BELL: &str = include_str!("../../assets/icons/pushbell-symbolic.svg");

/// Definitions of the digits and the plus sign, and the height and advance of every digit.
const DIGITS: &str = include_str!("../../assets/fonts/RobotoCondensed-Bold-digits.svg");
const DIGIT_HEIGHT: f32 = 1456.0;
const DIGIT_ADVANCE: f32 = 1036.0;

/// A telephone handset around the origin, 1 wide and high including its disc.
const HANDSET: &str = r#"<g transform="translate(-.028 .028) rotate(45)" fill="none" stroke="currentColor">
    <path d="M-.27-.06Q0 .22 .27-.06" stroke-width=".17"/>
    <path d="M-.25 0L-.33-.13M.25 0L.33-.13" stroke-width=".25"/></g>"#;

/// Colours of a symbolic icon on light and on dark panels, and of its edge if the panel is unknown.
const DARK: &str = "#2e3436";
const LIGHT: &str = "#f4f4f4";
const EDGE: &str = "#24292b";

/// The style of the icon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Look {
    /// In colour, visible on any panel.
    Color,
    /// In one colour.
    Symbolic {
        /// Whether the panel is dark; `None` when unknown: light with a dark outline.
        dark_panel: Option<bool>,
    },
}

/// A square image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Pixels in a row.
    pub width: u32,
    /// Rows, top to bottom.
    pub height: u32,
    /// Red, green, blue, alpha of each pixel; not premultiplied. `4 * width * height` bytes.
    pub rgba: Vec<u8>,
}

/// Everything that the image depends on: equal values give identical pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drawing {
    badge: Badge,
    paused: bool,
    look: Look,
    size: u32,
}

/// A mark on the bell, as SVG: a filled shape with a sign on it and a transparent ring around it.
struct Mark {
    ring: String,
    shape: String,
    sign: String,
    fill: &'static str,
    /// `None`: the sign is cut out of the shape.
    sign_fill: Option<&'static str>,
}

impl Drawing {
    /// The tray icon, `size` pixels wide and high (8 to 256).
    #[must_use]
    pub fn new(badge: Badge, paused: bool, look: Look, size: u32) -> Self {
        // Larger numbers look the same.
        let badge = Badge { unread: badge.unread.min(MAX_NUMBER + 1), missed_calls: badge.missed_calls.min(1) };
        Self { badge, paused, look, size: size.clamp(*SIZES.start(), *SIZES.end()) }
    }

    /// Draws the icon.
    #[must_use]
    pub fn pixels(self) -> Pixels {
        let size = self.size;
        // Empty only if the SVG is invalid, which a test rules out.
        let rgba = self.render().map_or_else(
            || vec![0; 4 * (size * size) as usize],
            |canvas| {
                let colors = canvas.pixels().iter().map(PremultipliedColorU8::demultiply);
                colors.flat_map(|color| [color.red(), color.green(), color.blue(), color.alpha()]).collect()
            },
        );
        Pixels { width: size, height: size, rgba }
    }

    fn render(self) -> Option<Pixmap> {
        let tree = Tree::from_str(&self.svg(), &Options::default()).ok()?;
        let mut canvas = Pixmap::new(self.size, self.size)?;
        resvg::render(&tree, Transform::identity(), &mut canvas.as_mut());
        Some(canvas)
    }

    fn svg(self) -> String {
        let size = self.size;
        let picture = if self.look == (Look::Symbolic { dark_panel: None }) {
            let edge = if size < 40 { 1 } else { 2 };
            let inner = Self { size: size - 2 * edge, ..self }.bell_and_marks();
            format!(
                r#"<filter id="edge" filterUnits="userSpaceOnUse" x="0" y="0" width="{size}" height="{size}"
                    color-interpolation-filters="sRGB">
                    <feMorphology in="SourceAlpha" operator="dilate" radius="{edge}" result="grown"/>
                    <feFlood flood-color="{EDGE}"/><feComposite in2="grown" operator="in" result="edge"/>
                    <feMerge><feMergeNode in="edge"/><feMergeNode in="SourceGraphic"/></feMerge></filter>
                <g filter="url(#edge)"><g transform="translate({edge} {edge})">{inner}</g></g>"#
            )
        } else {
            self.bell_and_marks()
        };
        format!(r#"<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}">{DIGITS}{picture}</svg>"#)
    }

    /// The rings separate marks from the bell, not from each other.
    fn bell_and_marks(self) -> String {
        let size = self.size;
        let (bell, paused) = match self.look {
            Look::Color => (COLOR_BELL.to_owned(), r#"opacity=".75" filter="url(#grey)""#),
            Look::Symbolic { dark_panel } => (SYMBOLIC_BELL.replace(DARK, tone(dark_panel)), r#"opacity=".5""#),
        };
        let (paused, scale) = (if self.paused { paused } else { "" }, size as f32 / BELL_SIZE);
        let marks = self.marks();
        let rings: String = marks.iter().map(|mark| mark.ring.as_str()).collect();
        let marks: String = marks.iter().zip(0..).map(|(mark, number)| mark.svg(number, size)).collect();
        let everywhere = format!(r#"x="0" y="0" width="{size}" height="{size}""#);
        format!(
            r#"<filter id="grey" color-interpolation-filters="sRGB"><feColorMatrix type="saturate" values=".25"/></filter>
            <mask id="rings" maskUnits="userSpaceOnUse" {everywhere}><rect {everywhere} fill="white"/>{rings}</mask>
            <g mask="url(#rings)"><g {paused}><g transform="scale({scale})">{bell}</g></g></g>{marks}"#
        )
    }

    fn marks(self) -> Vec<Mark> {
        let Self { badge, paused, look, size } = self;
        let [unread_fill, call_fill, pause_fill] = match look {
            Look::Color => [if paused { "#a83a3a" } else { "#dc1f26" }, "#ffb01f", "#5b6878"],
            Look::Symbolic { dark_panel } => [tone(dark_panel); 3],
        };
        let [sign_fill, call_sign_fill] = match look {
            Look::Color => [Some("white"), Some("#3d2200")],
            Look::Symbolic { dark_panel } => [if dark_panel.is_none() { Some(EDGE) } else { None }; 2],
        };
        // The bubble leaves room for the round marks above it.
        let bubble_height = (0.57 * size as f32).round() as u32;
        let diameter = size - bubble_height;
        let ring = (size as f32 / 24.0).round().max(1.0);
        let radius = diameter as f32 / 2.0;
        let disc =
            |left: f32, grown: f32| format!(r#"<circle cx="{}" cy="{radius}" r="{}"/>"#, left + radius, radius + grown);
        let round = |left: f32, sign, fill, sign_fill| Mark {
            ring: disc(left, ring),
            shape: disc(left, 0.0),
            sign,
            fill,
            sign_fill,
        };
        let mut marks = Vec::new();
        if badge.unread > 0 {
            let ([ring, shape], sign) = bubble(badge.unread, size, bubble_height, ring);
            marks.push(Mark { ring, shape, sign, fill: unread_fill, sign_fill });
        }
        if paused {
            let left = size - diameter;
            marks.push(round(left as f32, pause_bars(left, diameter), pause_fill, sign_fill));
        }
        if badge.missed_calls > 0 {
            let handset = format!(r#"<g transform="translate({radius} {radius}) scale({diameter})">{HANDSET}</g>"#);
            marks.push(round(0.0, handset, call_fill, call_sign_fill));
        }
        marks
    }
}

impl Mark {
    /// `number` makes the ids unique within the image.
    fn svg(&self, number: u32, size: u32) -> String {
        let Self { shape, sign, fill, .. } = self;
        match self.sign_fill {
            Some(color) => format!(r#"<g fill="{fill}">{shape}</g><g color="{color}" fill="{color}">{sign}</g>"#),
            None => format!(
                r#"<mask id="sign{number}" maskUnits="userSpaceOnUse" x="0" y="0" width="{size}" height="{size}">
                    <rect width="{size}" height="{size}" fill="white"/><g color="black">{sign}</g></mask>
                <g fill="{fill}" mask="url(#sign{number})">{shape}</g>"#
            ),
        }
    }
}

fn tone(dark_panel: Option<bool>) -> &'static str {
    if dark_panel == Some(false) { DARK } else { LIGHT }
}

/// The bubble at the lower right, with a ring of this width and without, and its number: in the largest digits that
/// fit, each a whole number of pixels wide.
fn bubble(unread: u64, size: u32, height: u32, ring: f32) -> ([String; 2], String) {
    let text = if unread > MAX_NUMBER { format!("{MAX_NUMBER}+") } else { unread.to_string() };
    let characters = text.len() as u32;
    let padding = (0.16 * height as f32).round().max(1.0) as u32;
    let advance = |digit_height: u32| (digit_height as f32 * DIGIT_ADVANCE / DIGIT_HEIGHT).round() as u32;
    // Three characters extend into the round ends.
    let margin = |digit_height: u32| if characters > 2 { digit_height / 8 } else { digit_height / 4 };
    let width_with = |digit_height: u32| characters * advance(digit_height) + 2 * margin(digit_height);
    let mut digit_heights = (1..=height.saturating_sub(2 * padding)).rev();
    let digit_height = digit_heights.find(|digit| width_with(*digit) <= size).unwrap_or(1);
    let width = width_with(digit_height).max(height);
    let width = if width + 1 == size { size } else { width };
    let (left, top) = (size - width, size - height);
    let pill = |grown: f32| {
        let (x, y) = (left as f32 - grown, top as f32 - grown);
        let (width, height) = (width as f32 + 2.0 * grown, height as f32 + 2.0 * grown);
        format!(r#"<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{}"/>"#, height.min(width) / 2.0)
    };
    let advance = advance(digit_height);
    let start = left + width.saturating_sub(characters * advance).div_ceil(2);
    let baseline = top + (height - digit_height) / 2 + digit_height;
    let (scale_x, scale_y) = (advance as f32 / DIGIT_ADVANCE, -(digit_height as f32) / DIGIT_HEIGHT);
    let digit = |(digit, index): (char, u32)| {
        let x = start + index * advance;
        format!(r##"<use href="#digit-{digit}" transform="translate({x} {baseline}) scale({scale_x} {scale_y})"/>"##)
    };
    ([pill(ring), pill(0.0)], text.chars().zip(0..).map(digit).collect())
}

/// Two vertical bars on a disc with this left edge, on whole pixels.
fn pause_bars(left: u32, diameter: u32) -> String {
    let width = ((diameter as f32 * 0.17).round() as u32).max(1);
    // The length must have the parity of the diameter to be centred on whole pixels.
    let centred = |length: u32| length.saturating_sub((length + diameter) % 2);
    let between = centred(width).max(2 - diameter % 2);
    let height = centred((diameter as f32 * 0.5).round() as u32).max(1);
    let first = left + diameter.saturating_sub(2 * width + between) / 2;
    let y = diameter.saturating_sub(height) / 2;
    let bar = |x: u32| format!(r#"<rect x="{x}" y="{y}" width="{width}" height="{height}"/>"#);
    bar(first) + bar(first + width + between).as_str()
}
