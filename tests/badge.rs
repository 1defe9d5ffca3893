//! Compares the drawn tray icon with the pictures in `tests/images`. `PUSHBELL_BLESS=1` rewrites them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{collections::HashSet, fs, path::Path};

use proptest::prelude::*;
use pushbell::desktop::badge::{Badge, Drawing, Look, Pixels};
use tiny_skia::{ColorU8, Pixmap, PixmapPaint, Transform};

const SIZES: [u32; 6] = [16, 22, 24, 32, 48, 64];

const LOOKS: [(&str, Look); 4] = [
    ("color", Look::Color),
    ("symbolic-light-panel", Look::Symbolic { dark_panel: Some(false) }),
    ("symbolic-dark-panel", Look::Symbolic { dark_panel: Some(true) }),
    ("symbolic-any-panel", Look::Symbolic { dark_panel: None }),
];

/// Unread messages, missed calls, paused.
const STATES: [(u64, u64, bool); 13] = [
    (0, 0, false),
    (1, 0, false),
    (9, 0, false),
    (42, 0, false),
    (99, 0, false),
    (100, 0, false),
    (0, 1, false),
    (7, 2, false),
    (28, 1, false),
    (120, 2, false),
    (0, 0, true),
    (5, 0, true),
    (100, 1, true),
];

fn pixmap(pixels: &Pixels) -> Pixmap {
    let mut pixmap = Pixmap::new(pixels.width, pixels.height).unwrap();
    for (to, from) in pixmap.pixels_mut().iter_mut().zip(pixels.rgba.as_chunks::<4>().0) {
        *to = ColorU8::from_rgba(from[0], from[1], from[2], from[3]).premultiply();
    }
    pixmap
}

/// All states of one look and size side by side.
fn strip(look: Look, size: u32) -> Pixmap {
    let mut strip = Pixmap::new(size * u32::try_from(STATES.len()).unwrap(), size).unwrap();
    for ((unread, missed_calls, paused), column) in STATES.into_iter().zip(0..) {
        let pixels = Drawing::new(Badge { unread, missed_calls }, paused, look, size).pixels();
        assert_eq!((pixels.width, pixels.height, pixels.rgba.len()), (size, size, (4 * size * size) as usize));
        let x = column * i32::try_from(size).unwrap();
        strip.draw_pixmap(x, 0, pixmap(&pixels).as_ref(), &PixmapPaint::default(), Transform::identity(), None);
    }
    strip
}

/// The largest difference in a channel that other floating-point units may cause.
const TOLERANCE: u8 = 8;

/// Compares with the approved picture, or approves this one.
fn check(drawn: &Pixmap, path: &Path) {
    if std::env::var_os("PUSHBELL_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        drawn.save_png(path).unwrap();
    }
    let approved = Pixmap::load_png(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!((drawn.width(), drawn.height()), (approved.width(), approved.height()), "{}", path.display());
    let differs = drawn.data().iter().zip(approved.data()).position(|(a, b)| a.abs_diff(*b) > TOLERANCE);
    if let Some(byte) = differs {
        let pixel = u32::try_from(byte / 4).unwrap();
        let (x, y) = (pixel % drawn.width(), pixel / drawn.width());
        let actual = Path::new(env!("CARGO_TARGET_TMPDIR")).join(path.file_name().unwrap());
        drawn.save_png(&actual).unwrap();
        panic!("{} differs at {x}, {y} of {}; PUSHBELL_BLESS=1 approves it", actual.display(), path.display());
    }
}

#[test]
fn the_icon_looks_as_it_was_approved() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images");
    for (name, look) in LOOKS {
        for size in SIZES {
            check(&strip(look, size), &directory.join(format!("badge-{name}-{size}.png")));
        }
    }
}

#[test]
fn the_packaged_icons_are_those_that_are_drawn() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/icons");
    for size in [16, 22, 24, 32, 48, 64, 128, 256] {
        let pixels = Drawing::new(Badge::default(), false, Look::Color, size).pixels();
        check(&pixmap(&pixels), &directory.join(format!("pushbell-{size}.png")));
    }
}

#[test]
fn every_number_is_clearly_a_picture_of_its_own() {
    // At least this many pixels differ by a quarter of the range in some channel.
    const MIN_DIFFERENT_PIXELS: usize = 4;
    for (name, look) in [LOOKS[0], LOOKS[3]] {
        for size in [16, 22, 48] {
            let picture = |unread| Drawing::new(Badge { unread, missed_calls: 0 }, false, look, size).pixels();
            assert_eq!(picture(100), picture(u64::MAX), "{name} at {size}: all above 99 are one");
            let pictures: Vec<Pixmap> = (0..=100).map(|unread| pixmap(&picture(unread))).collect();
            for (one, a) in pictures.iter().enumerate() {
                for (other, b) in pictures.iter().enumerate().skip(one + 1) {
                    let clear = |(a, b): &(&[u8; 4], &[u8; 4])| a.iter().zip(*b).any(|(a, b)| a.abs_diff(*b) >= 64);
                    let pixels = a.data().as_chunks().0.iter().zip(b.data().as_chunks().0);
                    let different = pixels.filter(clear).take(MIN_DIFFERENT_PIXELS).count();
                    assert_eq!(different, MIN_DIFFERENT_PIXELS, "{name} at {size}: {one} and {other} look alike");
                }
            }
        }
    }
}

#[test]
fn drawings_are_equal_exactly_if_their_pictures_are() {
    let mut drawings = Vec::new();
    for unread in [0, 1, 42, 99, 100, 5_000] {
        for missed_calls in [0, 1, 7] {
            for paused in [false, true] {
                for (_, look) in LOOKS {
                    drawings.push(Drawing::new(Badge { unread, missed_calls }, paused, look, 22));
                }
            }
        }
    }
    let pictures: Vec<Pixels> = drawings.iter().map(|drawing| drawing.pixels()).collect();
    for (a, its) in drawings.iter().zip(&pictures) {
        for (b, of_b) in drawings.iter().zip(&pictures) {
            assert_eq!(a == b, its == of_b, "{a:?} {b:?}");
        }
    }
}

#[test]
fn a_missed_call_and_a_pause_show_beside_any_number() {
    for (name, look) in LOOKS {
        for size in SIZES {
            for unread in [0, 1, 42, 100] {
                let pictures = [(0, false), (1, false), (0, true), (1, true)].map(|(missed_calls, paused)| {
                    Drawing::new(Badge { unread, missed_calls }, paused, look, size).pixels().rgba
                });
                assert_eq!(pictures.iter().collect::<HashSet<_>>().len(), 4, "{name} at {size} with {unread}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_numbers_can_be_drawn_at_any_size(
        unread in prop_oneof![0_u64..130, any::<u64>()],
        missed_calls: u64,
        paused: bool,
        look in 0..LOOKS.len(),
        size in 0_u32..300,
    ) {
        let pixels = Drawing::new(Badge { unread, missed_calls }, paused, LOOKS[look].1, size).pixels();
        prop_assert_eq!(pixels.width, size.clamp(8, 256));
        prop_assert_eq!(pixels.rgba.len(), (4 * pixels.width * pixels.height) as usize);
        prop_assert!(pixels.rgba.iter().skip(3).step_by(4).any(|alpha| *alpha > 200), "nothing was drawn");
    }
}
