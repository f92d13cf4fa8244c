//! From an image's bytes to those of a variant of it. Nothing here waits for anything; it runs where it may take long.
//!
//! How large an image is, is read from its head before anything is decoded, and what making the variant takes follows from
//! that ([`Plan`]). Only pixels go on: metadata of every kind, the place where a photo was taken among them, stay behind, but
//! for the orientation, which is applied.

use std::io::{BufRead, Cursor, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use andiron_protocol::InputError;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::imageops;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, Rgba};
use webp::WebPConfig;

use super::head::{Head, jpeg_passes};
use super::resize::{Part, resize};
use super::{Fit, Variant, VariantFormat, avif};
use crate::FilesError;

/// Pixels of an image that is decoded: 40 megapixels.
pub(super) const PIXELS_MAX: u64 = 40_000_000;
/// Pixels that a JPEG which comes in passes goes over in all of them: 25 passes of the largest, where ten are usual. Its
/// decoder does not ask for the time.
const PASSED_PIXELS_MAX: u64 = 1_000_000_000;
/// What a decoder may take beside what follows from the size: tables, and what it is put off with for metadata.
const DECODER_BYTES: u64 = 4 << 20;
/// How long decoding may take.
const DECODING_TIME_MAX: Duration = Duration::from_secs(10);
/// The quality at which a WebP loses nothing.
const LOSSLESS: u8 = 100;
/// Memory for a pixel of a variant as it goes to its encoder.
const PIXEL_BYTES: u64 = 4;
/// Memory for a pixel while it is encoded: the pixels, what an encoder makes of them, and its bytes. Those of noise, which
/// is the worst.
const ENCODED_PIXEL_BYTES: u64 = 16;
/// The same for a lossy WebP, as long as it is not frugal.
const WEBP_PIXEL_BYTES: u64 = 44;
/// The same for a frugal one.
const FRUGAL_PIXEL_BYTES: u64 = 18;
/// Pixels from which WebP is made with less memory: in more time, and with a byte for the transparency of each pixel.
const FRUGAL_PIXELS: u64 = 4_000_000;

/// What making a variant takes, by the head of its source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    format: ImageFormat,
    variant: Variant,
    head: Head,
}

impl Plan {
    /// Plans by the first bytes of a source; `None` if they do not say enough.
    ///
    /// # Errors
    /// If the image is too large for variants, or the variant for its format.
    pub(super) fn of(
        bytes: &[u8],
        format: ImageFormat,
        variant: Variant,
    ) -> Result<Option<Self>, FilesError> {
        let Some(head) = Head::read(bytes, format) else {
            return Ok(None);
        };
        if head.pixels() > PIXELS_MAX {
            return Err(too_large());
        }
        let plan = Self {
            format,
            variant,
            head,
        };
        // Whether it is to be turned stands further behind: it must fit either way to be refused at once.
        let (one, other) = plan.pixels();
        plan.check(one.min(other))?;
        Ok(Some(plan))
    }

    /// What it is encoded as.
    pub(super) fn encoded_as(&self) -> VariantFormat {
        self.variant.format.unwrap_or(VariantFormat::of(self.format))
    }

    /// The most memory that it takes at any time, with the bytes of the source.
    pub(super) fn memory_bytes(&self, source_bytes: u64) -> u64 {
        let source = if self.head.is_copied {
            2 * source_bytes
        } else {
            source_bytes
        };
        let (one, other) = self.pixels();
        let (pixels, made) = (self.head.pixels(), one.max(other));
        // An image that is turned is there twice: as it was and as it is to be.
        let decoded = pixels * self.head.decoder_pixel_bytes.max(2 * self.head.pixel_bytes);
        // The fast filter makes what has four times the pixels, and never more than there are.
        let placed = (pixels + (4 * made).min(pixels)) * self.head.pixel_bytes + made * PIXEL_BYTES;
        let quality = self.variant.quality;
        let encoded = match self.encoded_as() {
            VariantFormat::Avif => made * avif::pixel_bytes(quality),
            VariantFormat::WebP if quality < LOSSLESS => {
                // Just below what makes it frugal it may take the most.
                let lavish = made.min(FRUGAL_PIXELS) * WEBP_PIXEL_BYTES;
                lavish.max(made * FRUGAL_PIXEL_BYTES)
            }
            _ => made * ENCODED_PIXEL_BYTES,
        };
        source + decoded.max(placed).max(encoded) + DECODER_BYTES
    }

    /// Makes the variant.
    pub(super) fn render(&self, bytes: &[u8]) -> Result<Vec<u8>, FilesError> {
        if self.format == ImageFormat::Jpeg && self.head.pixels() * jpeg_passes(bytes) > PASSED_PIXELS_MAX {
            return Err(too_large());
        }
        let until = Instant::now() + DECODING_TIME_MAX;
        let mut reader = ImageReader::with_format(Timed(Cursor::new(bytes), until), self.format);
        let mut limits = Limits::default();
        limits.max_alloc = Some(self.head.pixels() * self.head.decoder_pixel_bytes + DECODER_BYTES);
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(|error| broken(&error))?;
        if decoder.dimensions() != (self.head.width, self.head.height) {
            // The decoder reads another head than we do, and no more is known of what it would take.
            return Err(FilesError::NoImage);
        }
        let orientation = decoder.orientation().map_err(|error| broken(&error))?;
        self.check(self.size(is_on_its_side(orientation)).pixels())?;
        let mut image = DynamicImage::from_decoder(decoder).map_err(|error| broken(&error))?;
        // Sixteen bits a channel are more than any of the formats keeps here.
        image = if image.has_alpha() {
            DynamicImage::ImageRgba8(image.into_rgba8())
        } else {
            DynamicImage::ImageRgb8(image.into_rgb8())
        };
        image.apply_orientation(orientation);
        let image = place(image, &self.variant);
        encode(image, self.encoded_as(), self.variant.quality)
    }

    /// Pixels of the variant if the source stands upright, and if it lies on its side.
    fn pixels(&self) -> (u64, u64) {
        (self.size(false).pixels(), self.size(true).pixels())
    }

    fn size(&self, is_on_its_side: bool) -> Placing {
        let Head { width, height, .. } = self.head;
        if is_on_its_side {
            Placing::of(height, width, &self.variant)
        } else {
            Placing::of(width, height, &self.variant)
        }
    }

    fn check(&self, pixels: u64) -> Result<(), FilesError> {
        if self.encoded_as() == VariantFormat::Avif && pixels > avif::PIXELS_MAX {
            return Err(InputError::new(format!(
                "an AVIF has at most {} pixels, and this would have {pixels}: ask for a smaller `width` or `height`, or for \
                 `format=webp`",
                avif::PIXELS_MAX
            ))
            .in_field("format")
            .into());
        }
        Ok(())
    }
}

fn too_large() -> FilesError {
    FilesError::ImageTooLarge {
        pixels_max: PIXELS_MAX,
    }
}

fn is_on_its_side(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// How an image comes into a variant: which part of it, how large, in the middle of what.
struct Placing {
    part: Part,
    inner: (u32, u32),
    outer: (u32, u32),
}

impl Placing {
    fn of(width: u32, height: u32, variant: &Variant) -> Self {
        let whole = Part {
            x: 0,
            y: 0,
            width,
            height,
        };
        let (part, inner, outer) = match (variant.fit, variant.width, variant.height) {
            (_, None, None) => (whole, (width, height), (width, height)),
            (Fit::Cover, Some(to_width), Some(to_height)) => {
                // What is cut off is never made smaller first.
                let part_width = scaled(to_width, height, to_height).min(width);
                let part_height = scaled(to_height, width, to_width).min(height);
                let (x, y) = ((width - part_width) / 2, (height - part_height) / 2);
                let part = Part {
                    x,
                    y,
                    width: part_width,
                    height: part_height,
                };
                (part, (to_width, to_height), (to_width, to_height))
            }
            (Fit::Contain, Some(to_width), Some(to_height)) => (
                whole,
                inside(width, height, to_width, to_height),
                (to_width, to_height),
            ),
            (_, to_width, to_height) => {
                let (to_width, to_height) = (to_width.unwrap_or(u32::MAX), to_height.unwrap_or(u32::MAX));
                let inner = inside(width, height, to_width.min(width), to_height.min(height));
                (whole, inner, inner)
            }
        };
        Self { part, inner, outer }
    }

    fn pixels(&self) -> u64 {
        u64::from(self.outer.0) * u64::from(self.outer.1)
    }
}

fn place(image: DynamicImage, variant: &Variant) -> DynamicImage {
    let Placing { part, inner, outer } = Placing::of(image.width(), image.height(), variant);
    let is_whole = (part.width, part.height) == (image.width(), image.height());
    let placed = if is_whole && inner == (part.width, part.height) {
        image
    } else {
        resize(&image, part, inner.0, inner.1)
    };
    if inner == outer {
        return placed;
    }
    let mut whole = DynamicImage::new_rgba8(outer.0, outer.1);
    let (x, y) = ((outer.0 - inner.0) / 2, (outer.1 - inner.1) / 2);
    imageops::replace(&mut whole, &placed.into_rgba8(), i64::from(x), i64::from(y));
    whole
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

fn encode(image: DynamicImage, format: VariantFormat, quality: u8) -> Result<Vec<u8>, FilesError> {
    let mut bytes = Vec::new();
    let encoded = match format {
        VariantFormat::Jpeg => {
            let image = on_white(image);
            image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))
        }
        VariantFormat::Png => image.write_with_encoder(PngEncoder::new(&mut bytes)),
        VariantFormat::Avif => return avif::encode(&image, quality),
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
    let mut config = WebPConfig::new()
        .map_err(|()| FilesError::Internal("the encoder of WebP is of another version".to_owned()))?;
    config.quality = f32::from(quality);
    if u64::from(width) * u64::from(height) > FRUGAL_PIXELS {
        config.low_memory = 1;
        config.alpha_compression = 0;
    }
    let bytes = encoder
        .encode_advanced(&config)
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
        image::ImageError::Limits(_) => too_large(),
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

    fn render(bytes: &[u8], format: ImageFormat, variant: &Variant) -> Result<Vec<u8>, FilesError> {
        let plan = Plan::of(bytes, format, *variant)?.ok_or(FilesError::NoImage)?;
        plan.render(bytes)
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
    fn every_format_that_is_read_is_made_of_every_other() {
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

    /// Width and height as the box of an AVIF says them, and whether there is a plane of transparency.
    fn avif_facts(bytes: &[u8]) -> (u32, u32, bool) {
        assert_eq!(&bytes[4..12], b"ftypavif");
        let find = |name: &[u8]| bytes.windows(name.len()).position(|window| window == name);
        let sizes = find(b"ispe").unwrap() + 8;
        let side = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
        (side(sizes), side(sizes + 4), find(b"auxl").is_some())
    }

    #[test]
    fn an_avif_has_the_size_the_transparency_and_the_quality_that_are_asked_for() {
        let noise = image::RgbImage::from_fn(120, 80, |x, y| {
            let seed = (x * 7919 + y * 104_729).wrapping_mul(2_654_435_761);
            image::Rgb([x as u8 * 2, y as u8 * 3, (seed >> 27) as u8 * 4])
        });
        let source = png(&DynamicImage::ImageRgb8(noise.clone()));
        let made = |bytes: &[u8], parameters: &str| {
            render(bytes, ImageFormat::Png, &parameters.parse().unwrap()).unwrap()
        };
        assert_eq!(
            avif_facts(&made(&source, "format=avif&width=61")),
            (61, 41, false)
        );
        assert_eq!(
            avif_facts(&made(&source, "format=avif&width=1&height=1")),
            (1, 1, false)
        );
        assert_eq!(
            avif_facts(&made(&source, "format=avif&width=70&height=70&fit=contain")),
            (70, 70, true)
        );
        let mut opaque = DynamicImage::ImageRgb8(noise).into_rgba8();
        assert!(
            !avif_facts(&made(
                &png(&DynamicImage::ImageRgba8(opaque.clone())),
                "format=avif"
            ))
            .2
        );
        opaque.put_pixel(3, 3, Rgba([0; 4]));
        assert!(avif_facts(&made(&png(&DynamicImage::ImageRgba8(opaque)), "format=avif")).2);
        let sizes: Vec<usize> = [1, 40, 80, 89, 90, 100]
            .iter()
            .map(|quality| made(&source, &format!("format=avif&quality={quality}")).len())
            .collect();
        assert!(sizes.is_sorted() && sizes[0] * 4 < sizes[5], "{sizes:?}");
    }

    #[test]
    fn an_avif_of_too_many_pixels_is_refused_before_anything_is_decoded() {
        // There is a head, and nothing else of it.
        let head = &png(&picture(2000, 1500))[..33];
        let of = |parameters: &str| Plan::of(head, ImageFormat::Png, parameters.parse().unwrap());
        let refused = of("format=avif").unwrap_err();
        let FilesError::Input(input) = FilesError::of_shared(&refused) else {
            panic!("{refused:?}")
        };
        assert_eq!(input.field.as_deref(), Some("format"));
        assert_eq!(
            input.detail,
            "an AVIF has at most 2100000 pixels, and this would have 3000000: ask for a smaller `width` or `height`, or for \
             `format=webp`"
        );
        assert!(of("format=avif&width=1600").unwrap().is_some());
        assert!(of("format=avif&width=1700").is_err());
        assert!(of("format=avif&width=3000&height=3000&fit=cover").is_err());
        assert!(of("format=webp").unwrap().is_some());
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
        for format in ["jpeg", "png", "webp", "avif"] {
            let variant = format!("width=16&format={format}").parse().unwrap();
            let bytes = render(&jpeg, ImageFormat::Jpeg, &variant).unwrap();
            if format == "avif" {
                assert_eq!(avif_facts(&bytes), (16, 32, false));
                assert!(!bytes.windows(6).any(|window| window == b"secret"));
                continue;
            }
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
