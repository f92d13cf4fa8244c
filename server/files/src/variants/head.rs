//! What an image is by its first bytes: how large, and what it takes to decode it.
//!
//! Nothing is decoded here and nothing allocated, so that what would take too much is refused, and what takes much waits for
//! its turn, before the rest of the bytes is read. What a head says is a claim: who decodes compares.

use image::ImageFormat;

/// What images are made of that are decoded here.
pub(super) fn source_format(sniffed: &str) -> Option<ImageFormat> {
    match sniffed {
        "image/png" => Some(ImageFormat::Png),
        "image/jpeg" => Some(ImageFormat::Jpeg),
        "image/gif" => Some(ImageFormat::Gif),
        "image/webp" => Some(ImageFormat::WebP),
        _ => None,
    }
}

/// The head of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Pixels from left to right, before it is turned.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// Bytes of memory that its decoder takes for a pixel, with what comes of it as 8 bits a channel.
    pub decoder_pixel_bytes: u64,
    /// Bytes of a pixel of what comes of it.
    pub pixel_bytes: u64,
    /// Whether the decoder has all of the source's bytes in memory once more.
    pub is_copied: bool,
}

impl Head {
    /// Reads it; `None` if the bytes are too few, or no head of such an image.
    pub(super) fn read(bytes: &[u8], format: ImageFormat) -> Option<Self> {
        let head = match format {
            ImageFormat::Png => png(bytes),
            ImageFormat::Jpeg => jpeg(bytes),
            ImageFormat::Gif => gif(bytes),
            ImageFormat::WebP => webp(bytes),
            _ => None,
        }?;
        (head.width > 0 && head.height > 0).then_some(head)
    }

    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }
}

fn png(bytes: &[u8]) -> Option<Head> {
    if bytes.get(12..16)? != b"IHDR" {
        return None;
    }
    let (bits, colours) = (*bytes.get(24)?, *bytes.get(25)?);
    // Sixteen bits a channel, at most four of them, and then eight.
    let decoder_pixel_bytes = match (bits, colours) {
        (16, _) => 12,
        // Grey becomes coloured.
        (_, 0 | 4) => 6,
        _ => 4,
    };
    Some(Head {
        width: big(bytes.get(16..20)?),
        height: big(bytes.get(20..24)?),
        decoder_pixel_bytes,
        pixel_bytes: 4,
        is_copied: false,
    })
}

fn gif(bytes: &[u8]) -> Option<Head> {
    bytes.starts_with(b"GIF8").then_some(())?;
    Some(Head {
        width: little(bytes.get(6..8)?),
        height: little(bytes.get(8..10)?),
        // The first picture, and the canvas that it lies on.
        decoder_pixel_bytes: 8,
        pixel_bytes: 4,
        is_copied: false,
    })
}

fn webp(bytes: &[u8]) -> Option<Head> {
    (bytes.starts_with(b"RIFF") && bytes.get(8..12)? == b"WEBP").then_some(())?;
    let (width, height, is_animated) = match bytes.get(12..16)? {
        b"VP8X" => (
            little(bytes.get(24..27)?) + 1,
            little(bytes.get(27..30)?) + 1,
            bytes.get(20)? & 2 != 0,
        ),
        b"VP8 " => (
            little(bytes.get(26..28)?) & 0x3fff,
            little(bytes.get(28..30)?) & 0x3fff,
            false,
        ),
        b"VP8L" => {
            let sizes = little(bytes.get(21..25)?);
            ((sizes & 0x3fff) + 1, (sizes >> 14 & 0x3fff) + 1, false)
        }
        _ => return None,
    };
    Some(Head {
        width,
        height,
        // Planes, or pixels with transparency, and what comes of them; one more for the canvas.
        decoder_pixel_bytes: if is_animated { 12 } else { 8 },
        pixel_bytes: 4,
        is_copied: false,
    })
}

fn jpeg(bytes: &[u8]) -> Option<Head> {
    let (marker, segment) = Segments(bytes.strip_prefix(&[0xff, 0xd8])?)
        .find(|(marker, _)| matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc))?;
    // In several passes all coefficients, two bytes each, wait for the last.
    let channels = u64::from(*segment.get(5)?).min(4);
    let waiting = if matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce) {
        2 * channels
    } else {
        0
    };
    Some(Head {
        width: big(segment.get(3..5)?),
        height: big(segment.get(1..3)?),
        decoder_pixel_bytes: 4 + waiting,
        pixel_bytes: 3,
        is_copied: true,
    })
}

/// How often a JPEG goes over its pixels, counted by what begins a pass.
pub(super) fn jpeg_passes(bytes: &[u8]) -> u64 {
    let mut rest = bytes;
    let mut passes = 0;
    while let Some(at) = memchr::memchr(0xff, rest) {
        passes += u64::from(rest.get(at + 1) == Some(&0xda));
        rest = &rest[at + 1..];
    }
    passes
}

/// Segments of a JPEG up to its first pixels, each with its marker.
struct Segments<'b>(&'b [u8]);

impl<'b> Iterator for Segments<'b> {
    type Item = (u8, &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        // Any number of these may stand before a marker.
        let at = self.0.iter().position(|byte| *byte != 0xff)?;
        let marker = self.0[at];
        if at == 0 || marker == 0xda {
            return None;
        }
        let rest = &self.0[at + 1..];
        let length = usize::try_from(big(rest.get(..2)?)).ok()?;
        // A segment may be longer than what has been read of it; nothing comes after it then.
        self.0 = rest.get(length..).unwrap_or(&[]);
        Some((marker, rest.get(2..length.min(rest.len()))?))
    }
}

fn big(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

fn little(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::DynamicImage;

    use super::*;

    #[test]
    fn a_head_says_what_the_decoder_finds() {
        for (format, head_bytes) in [
            (ImageFormat::Png, 26),
            (ImageFormat::Jpeg, 400),
            (ImageFormat::Gif, 10),
            (ImageFormat::WebP, 30),
        ] {
            let mut bytes = Cursor::new(Vec::new());
            let image = DynamicImage::new_rgb8(300, 201);
            image.write_to(&mut bytes, format).unwrap();
            let bytes = bytes.into_inner();
            let head = Head::read(&bytes, format).unwrap();
            assert_eq!((head.width, head.height), (300, 201), "{format:?}");
            let few = &bytes[..head_bytes.min(bytes.len())];
            assert!(Head::read(few, format).is_none_or(|short| short == head));
            for end in 0..head_bytes.min(bytes.len()) {
                // However it is cut off, it says the same or nothing.
                assert!(Head::read(&bytes[..end], format).is_none_or(|short| short == head));
            }
        }
    }

    #[test]
    fn a_picture_of_no_size_has_no_head() {
        assert_eq!(Head::read(b"GIF89a\0\0\x05\0", ImageFormat::Gif), None);
        assert_eq!(
            Head::read(b"\xff\xd8\xff\xc0\0\x08\x08\0\0\0\x05\x03", ImageFormat::Jpeg),
            None
        );
        assert_eq!(
            Head::read(b"\xff\xd8\xff\xe0\0\0\xff\xc0", ImageFormat::Jpeg),
            None
        );
    }

    #[test]
    fn what_comes_in_passes_is_told_from_what_does_not() {
        let of = |marker: u8| {
            let bytes = [0xff, 0xd8, 0xff, 0xff, marker, 0, 17, 8, 0, 9, 0, 7, 3];
            Head::read(&bytes, ImageFormat::Jpeg).unwrap()
        };
        assert_eq!((of(0xc0).width, of(0xc0).height), (7, 9));
        assert_eq!(
            (of(0xc0).decoder_pixel_bytes, of(0xc2).decoder_pixel_bytes),
            (4, 10)
        );
        assert_eq!(jpeg_passes(b"\xff\xd8\xff\xda\0\xff\0\xff\xda\xff"), 2);
    }
}
