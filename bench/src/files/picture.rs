//! A picture as a camera makes them: 6 megapixels of soft shapes with the grain of a sensor, as a JPEG.

use image::{ExtendedColorType, ImageEncoder as _, codecs::jpeg::JpegEncoder};

use crate::{BenchError, dataset::Random};

const WIDTH: u32 = 3000;
const HEIGHT: u32 = 2000;
/// What cameras and phones write.
const QUALITY: u8 = 88;

/// The picture, the same in every run.
pub(super) fn photo() -> Result<Vec<u8>, BenchError> {
    let mut random = Random::new(7);
    let mut pixels = Vec::with_capacity((WIDTH * HEIGHT * 3) as usize);
    for y in 0..HEIGHT {
        for x in 0..WIDTH {
            let (across, down) = (f64::from(x) / f64::from(WIDTH), f64::from(y) / f64::from(HEIGHT));
            let wave =
                (across * 40.0).sin() * (down * 31.0).cos() * 40.0 + (across * down * 300.0).sin() * 15.0;
            let grain = (random.draw() % 13) as f64 - 6.0;
            for (base, slope) in [(90.0, across), (110.0, down), (130.0, 1.0 - across)] {
                pixels.push((base + slope * 70.0 + wave + grain).clamp(0.0, 255.0) as u8);
            }
        }
    }
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .write_image(&pixels, WIDTH, HEIGHT, ExtendedColorType::Rgb8)
        .map_err(|error| BenchError::Usage(format!("the picture could not be encoded: {error}")))?;
    Ok(jpeg)
}

/// Sees that a thumbnail is a picture of 100 × 100.
pub(super) fn check_thumbnail(server: &str, bytes: &[u8]) -> Result<(), BenchError> {
    let detail = match image::load_from_memory(bytes) {
        Ok(thumbnail) if (thumbnail.width(), thumbnail.height()) == (100, 100) => return Ok(()),
        Ok(thumbnail) => format!("a thumbnail is {} × {}", thumbnail.width(), thumbnail.height()),
        Err(error) => format!("a thumbnail cannot be read: {error}"),
    };
    Err(BenchError::Server {
        server: server.to_owned(),
        detail,
    })
}
