//! The bell itself, from the icons in `assets/icons`.

use std::sync::{LazyLock, Mutex, PoisonError};

use resvg::usvg::{Options, Tree};
use tiny_skia::{Pixmap, Transform};

use super::{Look, premultiplied, symbolic_tone};

static COLOR: LazyLock<Option<Tree>> = LazyLock::new(|| parse(include_str!("../../../assets/icons/pushbell.svg")));
static SYMBOLIC: LazyLock<Option<Tree>> =
    LazyLock::new(|| parse(include_str!("../../../assets/icons/pushbell-symbolic.svg")));

fn parse(svg: &str) -> Option<Tree> {
    Tree::from_str(svg, &Options::default()).ok()
}

/// The last one drawn: a tray asks for one look and size again and again, and the bell is most of the work.
static LAST: Mutex<Option<(Look, u32, Pixmap)>> = Mutex::new(None);

/// Draws the bell. `None` only if the bundled drawing is no good: a test shows that it is.
pub(super) fn render(look: Look, size: u32) -> Option<Pixmap> {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((last_look, last_size, bell)) = last.as_ref()
        && (*last_look, *last_size) == (look, size)
    {
        return Some(bell.clone());
    }
    let bell = draw(look, size)?;
    *last = Some((look, size, bell.clone()));
    Some(bell)
}

fn draw(look: Look, size: u32) -> Option<Pixmap> {
    let tree = match look {
        Look::Color => COLOR.as_ref(),
        Look::Symbolic { .. } => SYMBOLIC.as_ref(),
    }?;
    let mut canvas = Pixmap::new(size, size)?;
    let scale = size as f32 / tree.size().width();
    resvg::render(tree, Transform::from_scale(scale, scale), &mut canvas.as_mut());
    match look {
        Look::Color => {}
        Look::Symbolic { dark_panel } => tint(&mut canvas, symbolic_tone(dark_panel)),
    }
    Some(canvas)
}

/// Keeps the shape and replaces the colour.
fn tint(canvas: &mut Pixmap, color: tiny_skia::Color) {
    for pixel in canvas.pixels_mut() {
        let channel = |value: f32| (value * f32::from(pixel.alpha())).round() as u8;
        *pixel = premultiplied(channel(color.red()), channel(color.green()), channel(color.blue()), pixel.alpha());
    }
}
