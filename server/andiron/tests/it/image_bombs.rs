//! Images that are made to take much: small files that stand for many pixels, pictures or passes, or that lie.

use std::io::Write as _;

use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use image::{DynamicImage, ImageFormat};

/// A bomb, and what may be answered to whoever wants a thumbnail of it.
pub(crate) struct Bomb {
    pub name: &'static str,
    pub content_type: &'static str,
    pub bytes: Vec<u8>,
    pub statuses: &'static [u16],
}

const MADE: &[u16] = &[200];
const TOO_LARGE: &[u16] = &[413];
const BROKEN: &[u16] = &[415];

/// A side of a square of 9 megapixels: as large as fits into the memory that the test allows.
const SIDE: u16 = 3000;

pub(crate) fn all() -> Vec<Bomb> {
    let bomb = |name, content_type, statuses, bytes| Bomb {
        name,
        content_type,
        bytes,
        statuses,
    };
    let frames = 200_000;
    vec![
        bomb(
            "gif of many tiny pictures without a pause",
            "image/gif",
            MADE,
            gif(1, 1, frames, (1, 1)),
        ),
        bomb(
            "gif of a tiny picture on a large canvas",
            "image/gif",
            MADE,
            gif(SIDE, SIDE, 1000, (1, 1)),
        ),
        bomb(
            "gif of a picture larger than its canvas",
            "image/gif",
            TOO_LARGE,
            gif(8, 8, 1, (u16::MAX, u16::MAX)),
        ),
        bomb(
            "gif of four gigapixels",
            "image/gif",
            TOO_LARGE,
            gif(u16::MAX, u16::MAX, 1, (1, 1)),
        ),
        bomb(
            "webp of many pictures",
            "image/webp",
            MADE,
            animated_webp(16, 20_000, 16),
        ),
        bomb(
            "webp of a tiny picture on a canvas too large",
            "image/webp",
            TOO_LARGE,
            animated_webp(3100, 10, 16),
        ),
        bomb(
            "webp whose picture is larger than its canvas",
            "image/webp",
            BROKEN,
            animated_webp(16, 1, 16_384),
        ),
        bomb(
            "webp with long metadata",
            "image/webp",
            MADE,
            webp_with_metadata(10 << 20),
        ),
        bomb(
            "apng of a billion pictures",
            "image/png",
            MADE,
            png(8, &animation(20_000), &[]),
        ),
        bomb(
            "png with a colour profile of 200 MB",
            "image/png",
            MADE,
            png(8, &chunk(b"iCCP", &zipped(b"x\0\0")), &[]),
        ),
        bomb(
            "png with texts of gigabytes",
            "image/png",
            &[200, 413],
            png(
                8,
                &chunk(b"zTXt", &zipped(b"x\0\0")).repeat(10),
                &chunk(b"zTXt", &zipped(b"y\0\0")),
            ),
        ),
        bomb(
            "png with metadata of 200 MB",
            "image/png",
            MADE,
            png(8, &chunk(b"iTXt", &zipped(b"XML:com.adobe.xmp\0\x01\0\0\0")), &[]),
        ),
        bomb(
            "png of zeros, a thousand to one",
            "image/png",
            MADE,
            png(u32::from(SIDE) - 200, &[], &[]),
        ),
        bomb(
            "png of too many zeros",
            "image/png",
            TOO_LARGE,
            png(6000, &[], &[]),
        ),
        bomb("jpeg of ninety passes", "image/jpeg", MADE, passes(SIDE, 90)),
        bomb(
            "jpeg of thousands of passes",
            "image/jpeg",
            TOO_LARGE,
            passes(SIDE, 5000),
        ),
        bomb(
            "jpeg of thousands of passes over little",
            "image/jpeg",
            &[200, 415],
            passes(64, 5000),
        ),
        bomb("jpeg whose passes are cut off", "image/jpeg", &[200, 415], {
            let mut bytes = passes(SIDE, 90);
            bytes.truncate(bytes.len() / 2);
            bytes
        }),
        bomb("jpeg that says another size further on", "image/jpeg", BROKEN, {
            // Both heads are heads; the decoder may take either, and neither is believed unless it is the one that was planned for.
            let mut bytes = passes(16, 2);
            let frame = sof2(u16::MAX);
            let at = 2 + sof2(16).len();
            bytes.splice(at..at, frame);
            bytes
        }),
    ]
}

/// A picture of four megapixels in many colours.
pub(crate) fn photo() -> Vec<u8> {
    let image = image::RgbImage::from_fn(2400, 1800, |x, y| {
        let wave = (x / 7 + y / 5) % 64;
        image::Rgb([x % 256, y % 256, 128 + wave].map(|channel| u8::try_from(channel).unwrap_or(u8::MAX)))
    });
    written(&DynamicImage::ImageRgb8(image), ImageFormat::Jpeg)
}

fn written(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn gif(width: u16, height: u16, pictures: usize, picture: (u16, u16)) -> Vec<u8> {
    let mut bytes = b"GIF89a".to_vec();
    bytes.extend([width, height].iter().flat_map(|side| side.to_le_bytes()));
    bytes.extend(b"\x80\0\0\0\0\0\xff\xff\xff");
    let mut frame = b"\x21\xf9\x04\0\0\0\0\0,\0\0\0\0".to_vec();
    frame.extend([picture.0, picture.1].iter().flat_map(|side| side.to_le_bytes()));
    frame.extend(b"\0\x02\x02\x44\x01\0");
    bytes.extend(frame.repeat(pictures));
    bytes.push(b';');
    bytes
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    let size = u32::try_from(chunks.len() + 4).unwrap().to_le_bytes();
    [b"RIFF", size.as_slice(), b"WEBP", chunks].concat()
}

fn webp_chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len()).unwrap().to_le_bytes();
    [name, size.as_slice(), data, &[0][..data.len() % 2]].concat()
}

fn webp_head(flags: u8, side: u32) -> Vec<u8> {
    let side = &(side - 1).to_le_bytes()[..3];
    webp_chunk(b"VP8X", &[&[flags, 0, 0, 0], side, side].concat())
}

fn webp_picture() -> Vec<u8> {
    written(&DynamicImage::new_rgb8(16, 16), ImageFormat::WebP).split_off(12)
}

fn animated_webp(side: u32, pictures: usize, picture_side: u32) -> Vec<u8> {
    let picture = &(picture_side - 1).to_le_bytes()[..3];
    // At the corner, for no time at all.
    let place = [&[0; 6], picture, picture, &[0; 4]].concat();
    let frame = webp_chunk(b"ANMF", &[place, webp_picture()].concat());
    riff(
        &[
            webp_head(2, side),
            webp_chunk(b"ANIM", &[0; 6]),
            frame.repeat(pictures),
        ]
        .concat(),
    )
}

fn webp_with_metadata(bytes: usize) -> Vec<u8> {
    let long = vec![0; bytes];
    let profile = webp_chunk(b"ICCP", &long);
    riff(
        &[
            webp_head(0x28, 16),
            profile,
            webp_picture(),
            webp_chunk(b"EXIF", &long),
        ]
        .concat(),
    )
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut sum = Crc::new();
    sum.update(name);
    sum.update(data);
    let size = u32::try_from(data.len()).unwrap().to_be_bytes();
    [size.as_slice(), name, data, &sum.sum().to_be_bytes()].concat()
}

/// Two hundred megabytes of nothing, after some bytes.
fn zipped(before: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(before.to_vec(), Compression::best());
    for _ in 0..200 {
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
    }
    encoder.finish().unwrap()
}

/// A square without colour, with chunks before and after its pixels.
fn png(side: u32, before: &[u8], after: &[u8]) -> Vec<u8> {
    let head = [&side.to_be_bytes()[..], &side.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let mut pixels = ZlibEncoder::new(Vec::new(), Compression::best());
    let row = vec![0; 1 + 3 * side as usize];
    (0..side).for_each(|_| pixels.write_all(&row).unwrap());
    [
        b"\x89PNG\r\n\x1a\n".as_slice(),
        &chunk(b"IHDR", &head),
        before,
        &chunk(b"IDAT", &pixels.finish().unwrap()),
        after,
        &chunk(b"IEND", b""),
    ]
    .concat()
}

/// An animation that says it has a billion pictures and has some of them.
fn animation(pictures: u32) -> Vec<u8> {
    let mut chunks = chunk(b"acTL", &[(1_u32 << 30).to_be_bytes(), [0; 4]].concat());
    for picture in 0..pictures {
        let size = [[0, 0, 0, 8], [0, 0, 0, 8], [0; 4], [0; 4], [0; 4]].concat();
        chunks.extend(chunk(
            b"fcTL",
            &[&picture.to_be_bytes()[..], &size, &[0, 0]].concat(),
        ));
    }
    chunks
}

fn segment(marker: u8, data: &[u8]) -> Vec<u8> {
    let size = u16::try_from(data.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], size.as_slice(), data].concat()
}

/// The head of a grey square that comes in passes.
fn sof2(side: u16) -> Vec<u8> {
    let side = side.to_be_bytes();
    segment(0xc2, &[&[8], &side[..], &side, &[1, 1, 0x11, 0]].concat())
}

/// A table in which one bit, zero, stands for one symbol.
fn huffman(class: u8, symbol: u8) -> Vec<u8> {
    let lengths = [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    segment(0xc4, &[&[class], &lengths[..], &[symbol]].concat())
}

/// A grey square over which the decoder has to go again and again, with some bytes for each time.
fn passes(side: u16, passes: usize) -> Vec<u8> {
    let blocks = usize::from(side).div_ceil(8).pow(2);
    let pass = |from: u8, to: u8, bits: u8| segment(0xda, &[1, 1, 0, from, to, bits]);
    // That up to 32,767 blocks have nothing more to say takes 15 bits: a zero, and 14 ones.
    let mut nothing = Vec::new();
    let bits: Vec<u8> = [0]
        .into_iter()
        .chain([1; 14])
        .collect::<Vec<u8>>()
        .repeat(blocks.div_ceil(32_767));
    for eight in bits.chunks(8) {
        let byte = (0..8).fold(0, |byte, at| byte << 1 | eight.get(at).unwrap_or(&1));
        nothing.push(byte);
        if byte == 0xff {
            nothing.push(0);
        }
    }
    let again = [pass(1, 63, 0x10), nothing.clone()].concat();
    [
        vec![0xff, 0xd8],
        sof2(side),
        segment(0xdb, &[&[0], [1; 64].as_slice()].concat()),
        huffman(0x00, 0),
        huffman(0x10, 0xe0),
        pass(0, 0, 1),
        vec![0; blocks.div_ceil(8)],
        pass(1, 63, 1),
        nothing,
        again.repeat(passes.saturating_sub(2)),
        vec![0xff, 0xd9],
    ]
    .concat()
}
