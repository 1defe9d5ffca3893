//! The X server and its screen.

use std::{path::Path, process::Command};

use tiny_skia::{ColorU8, IntSize, Pixmap};

use super::{SOON, panel, process::Part, wait_for};

/// The X server.
pub(crate) struct Screen {
    pub(crate) part: Part,
    /// `:17`
    pub(crate) display: String,
    /// The server's memory-mapped screen, an XWD file.
    memory: std::path::PathBuf,
}

impl Screen {
    /// Starts an X server on a display number of its own choice.
    pub(crate) fn start(size: (u32, u32), directory: &Path, env: &[(String, String)], logs: &Path) -> Self {
        let mut command = Command::new("Xvfb");
        command
            .args(["-displayfd", "1", "-screen", "0", &format!("{}x{}x24", size.0, size.1)])
            .args(["-nolisten", "tcp", "-noreset", "-fbdir"])
            .arg(directory);
        let mut part = Part::start("xvfb", command, env, logs);
        let display = wait_for("the X server names its display", SOON, || {
            assert!(part.try_wait().is_none(), "the X server has ended: {}", part.output());
            part.stdout().strip_suffix('\n').map(|number| format!(":{number}"))
        });
        Self { part, display, memory: directory.join("Xvfb_screen0") }
    }

    /// A screenshot of the whole screen.
    pub(crate) fn image(&self) -> Pixmap {
        let file = std::fs::read(&self.memory).expect("the X server keeps its screen there");
        let field = |index: usize| {
            let bytes = file[index * 4..index * 4 + 4].try_into().expect("four bytes");
            u32::from_be_bytes(bytes)
        };
        // Fields of the XWD header: 0 its size, 4 width, 5 height, 12 bytes per line, 19 number of colours.
        let (width, height, line) = (field(4), field(5), field(12) as usize);
        let start = field(0) as usize + field(19) as usize * 12;
        let mut rgba = Vec::with_capacity(width as usize * height as usize * 4);
        for y in 0..height as usize {
            let row = &file[start + y * line..][..width as usize * 4];
            rgba.extend(row.chunks_exact(4).flat_map(|pixel| [pixel[2], pixel[1], pixel[0], 0xff]));
        }
        Pixmap::from_vec(rgba, IntSize::from_wh(width, height).expect("the screen has a size")).expect("its pixels")
    }
}

/// The part of an image at x, y with this width and height, all within it.
pub(crate) fn cut(image: &Pixmap, (x, y, width, height): (u32, u32, u32, u32)) -> Pixmap {
    let rect = tiny_skia::IntRect::from_xywh(x.cast_signed(), y.cast_signed(), width, height).expect("a rectangle");
    image.clone_rect(rect).expect("a rectangle within the image")
}

/// The image with blue instead of black: the background is black, and pictures look better with a colour.
pub(crate) fn with_wallpaper(image: &Pixmap) -> Pixmap {
    let (black, blue) = (ColorU8::from_rgba(0, 0, 0, 255), ColorU8::from_rgba(52, 80, 107, 255));
    let mut image = image.clone();
    for pixel in image.pixels_mut().iter_mut().filter(|pixel| **pixel == black.premultiply()) {
        *pixel = blue.premultiply();
    }
    image
}

/// Red, green and blue of the pixel.
pub(crate) fn color(image: &Pixmap, x: u32, y: u32) -> (u8, u8, u8) {
    let pixel = image.pixel(x, y).expect("a pixel within the image");
    (pixel.red(), pixel.green(), pixel.blue())
}

/// The number of pixels of about this colour (each channel within `tolerance`).
pub(crate) fn count_color(image: &Pixmap, (red, green, blue): (u8, u8, u8), tolerance: u8) -> usize {
    image
        .pixels()
        .iter()
        .filter(|pixel| {
            pixel.red().abs_diff(red) <= tolerance
                && pixel.green().abs_diff(green) <= tolerance
                && pixel.blue().abs_diff(blue) <= tolerance
        })
        .count()
}

/// The area where two screenshots differ, above the panel: x, y, width, height.
pub(crate) fn difference(before: &Pixmap, after: &Pixmap) -> Option<(u32, u32, u32, u32)> {
    let points = || {
        let rows = 0..before.height() - panel::HEIGHT;
        rows.flat_map(|y| (0..before.width()).map(move |x| (x, y)))
            .filter(|(x, y)| before.pixel(*x, *y) != after.pixel(*x, *y))
    };
    let (left, right) = (points().map(|(x, _)| x).min()?, points().map(|(x, _)| x).max()?);
    let (top, bottom) = (points().map(|(_, y)| y).min()?, points().map(|(_, y)| y).max()?);
    Some((left, top, right - left + 1, bottom - top + 1))
}
