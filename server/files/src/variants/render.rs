//! From an image's bytes to those of a variant of it. Nothing here waits for anything; it runs where it may take long.
//!
//! How large an image is, is read from its head before anything is decoded. Only pixels go on: metadata of every kind, the
//! place where a photo was taken among them, stay behind, but for the orientation, which is applied.

use std::io::{BufRead, Cursor, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, Rgba};

use super::{Fit, Variant, VariantFormat};
use crate::FilesError;

/// Pixels of an image that is decoded: 40 megapixels.
pub(super) const PIXELS_MAX: u64 = 40_000_000;
/// Memory that decoding one image may take.
const DECODED_BYTES_MAX: u64 = 256 << 20;
/// How long decoding may take.
const DECODING_TIME_MAX: Duration = Duration::from_secs(10);
/// The quality at which a WebP loses nothing.
const LOSSLESS: u8 = 100;
/// By how much an image is made smaller at most by the filter that looks best; what goes beyond is done by a faster one.
const FINE_FACTOR: u32 = 2;

/// What images are made of.
pub(super) fn source_format(sniffed: &str) -> Option<ImageFormat> {
    match sniffed {
        "image/png" => Some(ImageFormat::Png),
        "image/jpeg" => Some(ImageFormat::Jpeg),
        "image/gif" => Some(ImageFormat::Gif),
        "image/webp" => Some(ImageFormat::WebP),
        _ => None,
    }
}

/// Width and height of an image, by what its head says.
pub(super) fn dimensions(bytes: &[u8], format: ImageFormat) -> Result<(u32, u32), FilesError> {
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let (width, height) = reader.into_dimensions().map_err(|error| broken(&error))?;
    if u64::from(width) * u64::from(height) > PIXELS_MAX {
        return Err(FilesError::ImageTooLarge {
            pixels_max: PIXELS_MAX,
        });
    }
    Ok((width, height))
}

/// Makes a variant.
pub(super) fn render(bytes: &[u8], format: ImageFormat, variant: &Variant) -> Result<Vec<u8>, FilesError> {
    dimensions(bytes, format)?;
    let until = Instant::now() + DECODING_TIME_MAX;
    let mut reader = ImageReader::with_format(Timed(Cursor::new(bytes), until), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| broken(&error))?;
    let orientation = decoder.orientation().map_err(|error| broken(&error))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| broken(&error))?;
    // Sixteen bits a channel are more than any of the formats keeps here.
    image = if image.has_alpha() {
        DynamicImage::ImageRgba8(image.into_rgba8())
    } else {
        DynamicImage::ImageRgb8(image.into_rgb8())
    };
    image.apply_orientation(orientation);
    let image = place(image, variant);
    encode(
        image,
        variant.format.unwrap_or(VariantFormat::of(format)),
        variant.quality,
    )
}

fn place(image: DynamicImage, variant: &Variant) -> DynamicImage {
    let (width, height) = (image.width(), image.height());
    match (variant.fit, variant.width, variant.height) {
        (_, None, None) => image,
        (Fit::Cover, Some(to_width), Some(to_height)) => {
            // What is cut off is never made smaller first.
            let cut_width = scaled(to_width, height, to_height).min(width);
            let cut_height = scaled(to_height, width, to_width).min(height);
            let (x, y) = ((width - cut_width) / 2, (height - cut_height) / 2);
            resize(&image.crop_imm(x, y, cut_width, cut_height), to_width, to_height)
        }
        (Fit::Contain, Some(to_width), Some(to_height)) => {
            let (inner_width, inner_height) = inside(width, height, to_width, to_height);
            let inner = resize(&image, inner_width, inner_height);
            let mut whole = DynamicImage::new_rgba8(to_width, to_height);
            let (x, y) = ((to_width - inner_width) / 2, (to_height - inner_height) / 2);
            imageops::replace(&mut whole, &inner.into_rgba8(), i64::from(x), i64::from(y));
            whole
        }
        (_, to_width, to_height) => {
            let (to_width, to_height) = (to_width.unwrap_or(u32::MAX), to_height.unwrap_or(u32::MAX));
            let (to_width, to_height) = inside(width, height, to_width.min(width), to_height.min(height));
            resize(&image, to_width, to_height)
        }
    }
}

/// The largest size with the proportions of an image that lies within a box.
fn inside(width: u32, height: u32, to_width: u32, to_height: u32) -> (u32, u32) {
    let by_width = scaled(height, to_width, width);
    if by_width <= to_height {
        (to_width, by_width)
    } else {
        (scaled(width, to_height, height).min(to_width), to_height)
    }
}

/// `value * by / of`, rounded, and never nothing.
fn scaled(value: u32, by: u32, of: u32) -> u32 {
    let (value, by, of) = (u64::from(value), u64::from(by), u64::from(of.max(1)));
    u32::try_from((value * by + of / 2) / of)
        .unwrap_or(u32::MAX)
        .max(1)
}

fn resize(image: &DynamicImage, width: u32, height: u32) -> DynamicImage {
    if (image.width(), image.height()) == (width, height) {
        return image.clone();
    }
    let (near_width, near_height) = (
        width.saturating_mul(FINE_FACTOR),
        height.saturating_mul(FINE_FACTOR),
    );
    if image.width() > near_width && image.height() > near_height {
        return image.thumbnail_exact(near_width, near_height).resize_exact(
            width,
            height,
            FilterType::Triangle,
        );
    }
    image.resize_exact(width, height, FilterType::CatmullRom)
}

fn encode(image: DynamicImage, format: VariantFormat, quality: u8) -> Result<Vec<u8>, FilesError> {
    let mut bytes = Vec::new();
    let encoded = match format {
        VariantFormat::Jpeg => {
            let image = on_white(image);
            image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))
        }
        VariantFormat::Png => image.write_with_encoder(PngEncoder::new(&mut bytes)),
        VariantFormat::WebP if quality < LOSSLESS => return lossy_webp(&image, quality),
        VariantFormat::WebP => image.write_with_encoder(WebPEncoder::new_lossless(&mut bytes)),
    };
    encoded.map_err(|error| FilesError::Internal(format!("an image could not be encoded: {error}")))?;
    Ok(bytes)
}

fn lossy_webp(image: &DynamicImage, quality: u8) -> Result<Vec<u8>, FilesError> {
    let (width, height) = (image.width(), image.height());
    let encoder = match image {
        DynamicImage::ImageRgb8(pixels) => webp::Encoder::from_rgb(pixels, width, height),
        DynamicImage::ImageRgba8(pixels) => webp::Encoder::from_rgba(pixels, width, height),
        _ => {
            return Err(FilesError::Internal(
                "an image is neither RGB nor RGBA".to_owned(),
            ));
        }
    };
    let bytes = encoder
        .encode_simple(false, f32::from(quality))
        .map_err(|error| FilesError::Internal(format!("an image could not be encoded: {error:?}")))?;
    Ok(bytes.to_vec())
}

/// What has no transparency has what shows through it: white.
fn on_white(image: DynamicImage) -> DynamicImage {
    if !image.has_alpha() {
        return image;
    }
    let mut white = image::RgbaImage::from_pixel(image.width(), image.height(), Rgba([255; 4]));
    imageops::overlay(&mut white, &image.into_rgba8(), 0, 0);
    DynamicImage::ImageRgb8(DynamicImage::ImageRgba8(white).into_rgb8())
}

/// The bytes are not an image, or not a whole one, or not one that can be read here.
fn broken(error: &image::ImageError) -> FilesError {
    tracing::debug!(%error, "an image could not be decoded");
    match error {
        image::ImageError::Limits(_) => FilesError::ImageTooLarge {
            pixels_max: PIXELS_MAX,
        },
        _ => FilesError::NoImage,
    }
}

/// Bytes that end with an error when it takes too long: a decoder is stopped where it asks for more.
struct Timed<'b>(Cursor<&'b [u8]>, Instant);

impl Timed<'_> {
    fn check(&self) -> std::io::Result<()> {
        if Instant::now() < self.1 {
            Ok(())
        } else {
            Err(std::io::ErrorKind::TimedOut.into())
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.check()?;
        self.0.read(buffer)
    }
}

/// Bytes are given out at once, so that a decoder comes back for more.
const GIVEN_BYTES: usize = 64 * 1024;

impl BufRead for Timed<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.check()?;
        let bytes = self.0.fill_buf()?;
        Ok(&bytes[..bytes.len().min(GIVEN_BYTES)])
    }

    fn consume(&mut self, amount: usize) {
        self.0.consume(amount);
    }
}

impl Seek for Timed<'_> {
    fn seek(&mut self, position: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture whose left half is red and whose right half is blue.
    fn picture(width: u32, height: u32) -> DynamicImage {
        let image = image::RgbImage::from_fn(width, height, |x, _| {
            image::Rgb(if x < width / 2 { [255, 0, 0] } else { [0, 0, 255] })
        });
        DynamicImage::ImageRgb8(image)
    }

    fn png(image: &DynamicImage) -> Vec<u8> {
        let mut bytes = Vec::new();
        image.write_with_encoder(PngEncoder::new(&mut bytes)).unwrap();
        bytes
    }

    fn made(bytes: &[u8], format: ImageFormat, parameters: &str) -> DynamicImage {
        let variant = parameters.parse().unwrap();
        let bytes = render(bytes, format, &variant).unwrap();
        image::load_from_memory(&bytes).unwrap()
    }

    #[test]
    fn each_fit_makes_the_size_that_it_promises() {
        let source = png(&picture(400, 200));
        for (parameters, width, height) in [
            ("width=100", 100, 50),
            ("height=100", 200, 100),
            ("width=1000", 400, 200),
            ("width=100&height=100", 100, 50),
            ("width=100&height=100&fit=cover", 100, 100),
            ("width=100&height=100&fit=contain", 100, 100),
            ("width=300&height=10&fit=inside", 20, 10),
            ("width=800&height=800&fit=cover", 800, 800),
            ("width=1&height=1000&fit=inside", 1, 1),
            ("format=jpeg", 400, 200),
        ] {
            let image = made(&source, ImageFormat::Png, parameters);
            assert_eq!((image.width(), image.height()), (width, height), "{parameters}");
        }
        // The middle is kept, and what is around it is transparent, or white.
        let cover = made(&source, ImageFormat::Png, "width=100&height=100&fit=cover").into_rgb8();
        assert_eq!(
            (cover.get_pixel(5, 50).0, cover.get_pixel(95, 50).0),
            ([255, 0, 0], [0, 0, 255])
        );
        let contain = made(&source, ImageFormat::Png, "width=100&height=100&fit=contain").into_rgba8();
        assert_eq!(
            (contain.get_pixel(5, 5).0[3], contain.get_pixel(5, 50).0),
            (0, [255, 0, 0, 255])
        );
        let white = made(
            &source,
            ImageFormat::Png,
            "width=100&height=100&fit=contain&format=jpeg",
        )
        .into_rgb8();
        assert!(white.get_pixel(5, 5).0.iter().all(|channel| *channel > 250));
    }

    #[test]
    fn every_format_is_made_of_every_other() {
        let source = png(&picture(64, 32));
        for (format, kind) in [
            ("jpeg", ImageFormat::Jpeg),
            ("png", ImageFormat::Png),
            ("webp", ImageFormat::WebP),
        ] {
            let variant = format!("width=32&format={format}").parse().unwrap();
            let bytes = render(&source, ImageFormat::Png, &variant).unwrap();
            assert_eq!(image::guess_format(&bytes).unwrap(), kind);
            let again = made(&bytes, kind, "width=16&format=png");
            assert_eq!((again.width(), again.height()), (16, 8));
        }
    }

    #[test]
    fn quality_is_a_matter_of_size_and_of_likeness() {
        let photo = image::RgbImage::from_fn(200, 150, |x, y| {
            let wave = (f64::from(x) / 9.0).sin() * (f64::from(y) / 7.0).cos() * 50.0;
            image::Rgb([120.0 + wave, 90.0 + wave, 130.0 - wave].map(|channel| channel as u8))
        });
        let source = png(&DynamicImage::ImageRgb8(photo.clone()));
        let difference = |bytes: &[u8]| {
            let again = image::load_from_memory(bytes).unwrap().into_rgb8();
            let pairs = again.as_raw().iter().zip(photo.as_raw());
            pairs
                .map(|(one, other)| u64::from(one.abs_diff(*other)))
                .sum::<u64>() as f64
                / photo.as_raw().len() as f64
        };
        for format in ["jpeg", "webp"] {
            let made = |quality: u8| {
                let variant = format!("format={format}&quality={quality}").parse().unwrap();
                render(&source, ImageFormat::Png, &variant).unwrap()
            };
            let (bad, good) = (made(10), made(90));
            assert!(
                bad.len() * 2 < good.len(),
                "{format}: {} and {} bytes",
                bad.len(),
                good.len()
            );
            assert!(difference(&good) < 4.0, "{format}: {}", difference(&good));
            assert!(
                difference(&bad) > difference(&good) && difference(&bad) < 20.0,
                "{format}"
            );
        }
        let exact = "format=webp&quality=100".parse().unwrap();
        let exact = render(&source, ImageFormat::Png, &exact).unwrap();
        assert_eq!(difference(&exact), 0.0);
        // What can be seen through stays so.
        let mut hole = DynamicImage::ImageRgb8(photo.clone()).into_rgba8();
        (0..40).for_each(|x| (0..40).for_each(|y| hole.put_pixel(x, y, Rgba([0; 4]))));
        let variant = "format=webp&quality=50".parse().unwrap();
        let made = render(&png(&DynamicImage::ImageRgba8(hole)), ImageFormat::Png, &variant).unwrap();
        let made = image::load_from_memory(&made).unwrap().into_rgba8();
        assert_eq!(
            (made.get_pixel(20, 20).0[3], made.get_pixel(100, 100).0[3]),
            (0, 255)
        );
    }

    #[test]
    fn orientation_is_applied_and_metadata_stay_behind() {
        let mut jpeg = Vec::new();
        picture(64, 32)
            .write_with_encoder(JpegEncoder::new_with_quality(&mut jpeg, 90))
            .unwrap();
        // An Exif segment: orientation 6, turned by a quarter, and a text.
        let mut tiff = b"Exif\0\0MM\0*\0\0\0\x08\0\x02\x01\x0e\0\x02\0\0\0\x0c\0\0\0&\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0".to_vec();
        tiff.extend_from_slice(b"secretplace\0");
        let mut segment = vec![0xff, 0xe1];
        segment.extend_from_slice(&u16::try_from(tiff.len() + 2).unwrap().to_be_bytes());
        segment.extend_from_slice(&tiff);
        jpeg.splice(2..2, segment);
        for format in ["jpeg", "png", "webp"] {
            let variant = format!("width=16&format={format}").parse().unwrap();
            let bytes = render(&jpeg, ImageFormat::Jpeg, &variant).unwrap();
            let image = image::load_from_memory(&bytes).unwrap();
            assert_eq!((image.width(), image.height()), (16, 32), "{format}");
            assert!(!bytes.windows(6).any(|window| window == b"secret"), "{format}");
        }
    }

    #[test]
    fn what_would_take_too_much_is_refused_by_its_head() {
        // Fifty thousand pixels each way, and not one of them.
        let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
        bomb.extend_from_slice(&50_000_u32.to_be_bytes());
        bomb.extend_from_slice(&50_000_u32.to_be_bytes());
        bomb.extend_from_slice(b"\x08\x06\0\0\0");
        let sum = {
            let mut crc = crc32(&bomb[12..]);
            crc.reverse();
            crc
        };
        bomb.extend_from_slice(&sum);
        bomb.extend_from_slice(b"\0\0\0\0IDAT\x35\xaf\x06\x1e");
        let variant = "width=10".parse().unwrap();
        let refused = render(&bomb, ImageFormat::Png, &variant);
        assert!(
            matches!(refused, Err(FilesError::ImageTooLarge { .. })),
            "{refused:?}"
        );
        for broken in [
            b"".as_slice(),
            b"\x89PNG\r\n\x1a\n",
            &png(&picture(8, 8))[..60],
            b"GIF89a",
        ] {
            let refused = render(broken, ImageFormat::Png, &variant);
            assert!(matches!(refused, Err(FilesError::NoImage)), "{refused:?}");
        }
    }

    /// The checksum of a chunk of a PNG, least significant byte first.
    fn crc32(bytes: &[u8]) -> [u8; 4] {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    (crc >> 1) ^ 0xedb8_8320
                } else {
                    crc >> 1
                };
            }
        }
        (!crc).to_le_bytes()
    }
}
