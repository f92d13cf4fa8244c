//! AVIF from pixels: rav1e makes the AV1, `avif-serialize` puts it into its box. All of it on the thread that calls.
//!
//! rav1e makes a picture in one go and cannot be told to stop, so what it may take is bounded by the pixels that it is given
//! ([`PIXELS_MAX`]). Nothing of it exists before the first AVIF is asked for.

use avif_serialize::Aviffy;
use image::{DynamicImage, Rgba};
use rav1e::prelude::{
    BlockSize, ChromaSamplePosition, ChromaSampling, ColorDescription, ColorPrimaries, Config, EncoderConfig,
    EncoderStatus, Frame, FrameType, MatrixCoefficients, PartitionRange, PixelRange, SceneDetectionSpeed,
    SpeedSettings, TransferCharacteristics,
};

use crate::FilesError;

/// Pixels of an AVIF: 2.1 megapixels, which 1920 × 1080 are. On one processor of 2026 that is 3 seconds for a photo; noise with
/// transparency at the best quality, which is the worst, takes 15.
pub(super) const PIXELS_MAX: u64 = 2_100_000;
/// The fastest that rav1e has; what is slower takes several times as long for a tenth of the bytes.
const SPEED: u8 = 10;
/// The blocks that a picture is made of, and no others: those of the fastest setting, twice as wide, take as long and more
/// bytes.
const BLOCK: BlockSize = BlockSize::BLOCK_16X16;
/// The quality from which colours are as fine as brightness. Below, there is one for four pixels, as in WebP and most JPEG.
const FINE_COLOURS: u8 = 90;
/// Bits of a channel.
const BITS: u8 = 8;
/// Qualities and quantizers, which go from 0 to 255 and are finer the lower: at these a photo is as near to what it was as in
/// a WebP of the quality. Nobody sees what is finer than the last.
const QUANTIZERS: [(usize, usize); 3] = [(0, 200), (80, 110), (100, 10)];

/// Memory for a pixel while an AVIF is made, the pixels that it is made of and its bytes among it. A photo takes a third of
/// it; this is what noise takes.
pub(super) fn pixel_bytes(quality: u8) -> u64 {
    if quality >= FINE_COLOURS { 150 } else { 64 }
}

/// Encodes an image; what can be seen through stays so.
pub(super) fn encode(image: &DynamicImage, quality: u8) -> Result<Vec<u8>, FilesError> {
    let (width, height) = (image.width(), image.height());
    let is_fine = quality >= FINE_COLOURS;
    let quantizer = quantizer(quality);
    let (colour, alpha) = match image {
        DynamicImage::ImageRgb8(pixels) => {
            let at = |x, y| pixels.get_pixel(x, y).0;
            (encode_colour(width, height, is_fine, quantizer, at)?, None)
        }
        DynamicImage::ImageRgba8(pixels) => {
            let at = |x, y| {
                let Rgba([red, green, blue, _]) = *pixels.get_pixel(x, y);
                [red, green, blue]
            };
            let colour = encode_colour(width, height, is_fine, quantizer, at)?;
            let has_alpha = pixels.pixels().any(|pixel| pixel.0[3] != u8::MAX);
            let alpha = has_alpha.then(|| {
                // Where something ends is seen more than what it is like.
                av1(width, height, ChromaSampling::Cs400, quantizer / 2, |frame| {
                    fill(frame, 0, width, height, |x, y| pixels.get_pixel(x, y).0[3]);
                })
            });
            (colour, alpha.transpose()?)
        }
        _ => {
            return Err(FilesError::Internal(
                "an image is neither RGB nor RGBA".to_owned(),
            ));
        }
    };
    let mut bytes = Vec::new();
    Aviffy::new()
        .set_seq_profile(u8::from(is_fine))
        .set_chroma_subsampling((!is_fine, !is_fine))
        .write(&mut bytes, &colour, alpha.as_deref(), width, height, BITS)
        .map_err(|error| failed(&error))?;
    Ok(bytes)
}

/// rav1e's scale from that of `quality`, straight from one known place to the next.
fn quantizer(quality: u8) -> usize {
    let quality = usize::from(quality);
    let [first, middle, last] = QUANTIZERS;
    let (from, to) = if quality <= middle.0 {
        (first, middle)
    } else {
        (middle, last)
    };
    from.1 - (quality.min(to.0) - from.0) * (from.1 - to.1) / (to.0 - from.0)
}

fn encode_colour(
    width: u32,
    height: u32,
    is_fine: bool,
    quantizer: usize,
    at: impl Fn(u32, u32) -> [u8; 3],
) -> Result<Vec<u8>, FilesError> {
    let sampling = if is_fine {
        ChromaSampling::Cs444
    } else {
        ChromaSampling::Cs420
    };
    av1(width, height, sampling, quantizer, |frame| {
        fill(frame, 0, width, height, |x, y| luma(at(x, y)));
        let mean = |x: u32, y: u32| {
            if is_fine {
                return at(x, y);
            }
            let (right, below) = ((2 * x + 1).min(width - 1), (2 * y + 1).min(height - 1));
            let four = [
                at(2 * x, 2 * y),
                at(right, 2 * y),
                at(2 * x, below),
                at(right, below),
            ];
            [0, 1, 2].map(|channel| {
                let sum: u16 = four.iter().map(|pixel| u16::from(pixel[channel])).sum();
                u8::try_from((sum + 2) / 4).unwrap_or(u8::MAX)
            })
        };
        let (columns, rows) = if is_fine {
            (width, height)
        } else {
            (width.div_ceil(2), height.div_ceil(2))
        };
        fill(frame, 1, columns, rows, |x, y| chroma(mean(x, y), 2, 1.772));
        fill(frame, 2, columns, rows, |x, y| chroma(mean(x, y), 0, 1.402));
    })
}

/// Brightness as ITU-R BT.601 has it, which is what is assumed where a file does not say.
fn brightness([red, green, blue]: [u8; 3]) -> f32 {
    0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue)
}

fn luma(pixel: [u8; 3]) -> u8 {
    rounded(brightness(pixel))
}

/// How far a channel is from the brightness, of which it can be `reach` halves away.
fn chroma(pixel: [u8; 3], channel: usize, reach: f32) -> u8 {
    rounded(128.0 + (f32::from(pixel[channel]) - brightness(pixel)) / reach)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between the two"
)]
fn rounded(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

fn fill(frame: &mut Frame<u8>, plane: usize, columns: u32, rows: u32, at: impl Fn(u32, u32) -> u8) {
    let mut slice = frame.planes[plane].mut_slice(Default::default());
    for (y, row) in (0..rows).zip(slice.rows_iter_mut()) {
        for (x, sample) in (0..columns).zip(row.iter_mut()) {
            *sample = at(x, y);
        }
    }
}

/// One still picture.
fn av1(
    width: u32,
    height: u32,
    chroma_sampling: ChromaSampling,
    quantizer: usize,
    init: impl FnOnce(&mut Frame<u8>),
) -> Result<Vec<u8>, FilesError> {
    let mut speed_settings = SpeedSettings::from_preset(SPEED);
    speed_settings.partition.partition_range = PartitionRange::new(BLOCK, BLOCK);
    // There is one picture: nothing comes before or after it.
    speed_settings.scene_detection_mode = SceneDetectionSpeed::None;
    speed_settings.rdo_lookahead_frames = 1;
    let colours = ColorDescription {
        color_primaries: ColorPrimaries::BT709,
        transfer_characteristics: TransferCharacteristics::SRGB,
        matrix_coefficients: MatrixCoefficients::BT601,
    };
    let config = Config::new().with_encoder_config(EncoderConfig {
        width: width as usize,
        height: height as usize,
        bit_depth: usize::from(BITS),
        chroma_sampling,
        chroma_sample_position: ChromaSamplePosition::Unknown,
        pixel_range: PixelRange::Full,
        color_description: (chroma_sampling != ChromaSampling::Cs400).then_some(colours),
        still_picture: true,
        min_key_frame_interval: 0,
        max_key_frame_interval: 0,
        quantizer,
        min_quantizer: u8::try_from(quantizer).unwrap_or(u8::MAX),
        tiles: 1,
        speed_settings,
        ..EncoderConfig::default()
    });
    let mut context = config.new_context::<u8>().map_err(|error| failed(&error))?;
    let mut frame = context.new_frame();
    init(&mut frame);
    context.send_frame(frame).map_err(|error| failed(&error))?;
    context.flush();
    let mut bytes = Vec::new();
    loop {
        match context.receive_packet() {
            Ok(packet) if packet.frame_type == FrameType::KEY => bytes.extend_from_slice(&packet.data),
            Ok(_) | Err(EncoderStatus::Encoded) => {}
            Err(EncoderStatus::LimitReached) => return Ok(bytes),
            Err(error) => return Err(failed(&error)),
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> FilesError {
    FilesError::Internal(format!("an image could not be encoded: {error}"))
}
