//! Images of another size, by filters that look good, with no more memory than the two images and a few rows.

use image::imageops;
use image::{DynamicImage, GenericImageView as _, ImageBuffer, Pixel, RgbImage, RgbaImage};

/// By how much an image is made smaller at most by the filter that looks best; what goes beyond is done by a faster one.
const FINE_FACTOR: u32 = 2;

/// A part of an image, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub x: u32,
    pub y: u32,
    pub width: u32,
    pub height: u32,
}

impl Part {
    /// The size at which the fast filter leaves it to the fine one; `None` if that does all.
    pub(super) fn halfway(&self, width: u32, height: u32) -> Option<(u32, u32)> {
        let near = (
            width.saturating_mul(FINE_FACTOR),
            height.saturating_mul(FINE_FACTOR),
        );
        (self.width > near.0 && self.height > near.1).then_some(near)
    }
}

/// A part of an image, at another size.
pub(super) fn resize(image: &DynamicImage, part: Part, width: u32, height: u32) -> DynamicImage {
    match image {
        DynamicImage::ImageRgb8(pixels) => DynamicImage::ImageRgb8(resize_rgb(pixels, part, width, height)),
        DynamicImage::ImageRgba8(pixels) => {
            DynamicImage::ImageRgba8(resize_rgba(pixels, part, width, height))
        }
        // Images come here with eight bits a channel and in colour.
        other => DynamicImage::ImageRgba8(resize_rgba(&other.to_rgba8(), part, width, height)),
    }
}

fn resize_rgb(image: &RgbImage, part: Part, width: u32, height: u32) -> RgbImage {
    if let Some((near_width, near_height)) = part.halfway(width, height) {
        let view = image.view(part.x, part.y, part.width, part.height);
        let near = imageops::thumbnail(&*view, near_width, near_height);
        return filter::<3, _>(&near, whole(&near), width, height, &TRIANGLE);
    }
    filter::<3, _>(image, part, width, height, &CATMULL_ROM)
}

fn resize_rgba(image: &RgbaImage, part: Part, width: u32, height: u32) -> RgbaImage {
    if let Some((near_width, near_height)) = part.halfway(width, height) {
        let view = image.view(part.x, part.y, part.width, part.height);
        let near = imageops::thumbnail(&*view, near_width, near_height);
        return filter::<4, _>(&near, whole(&near), width, height, &TRIANGLE);
    }
    filter::<4, _>(image, part, width, height, &CATMULL_ROM)
}

fn whole<P: Pixel<Subpixel = u8>>(image: &ImageBuffer<P, Vec<u8>>) -> Part {
    Part {
        x: 0,
        y: 0,
        width: image.width(),
        height: image.height(),
    }
}

/// How much a pixel counts for another at some distance.
struct Kernel {
    reach: f32,
    weight: fn(f32) -> f32,
}

const TRIANGLE: Kernel = Kernel {
    reach: 1.0,
    weight: |distance| (1.0 - distance.abs()).max(0.0),
};

const CATMULL_ROM: Kernel = Kernel {
    reach: 2.0,
    weight: |distance| {
        let distance = distance.abs();
        if distance < 1.0 {
            (1.5 * distance - 2.5) * distance * distance + 1.0
        } else if distance < 2.0 {
            ((2.5 - 0.5 * distance) * distance - 4.0) * distance + 2.0
        } else {
            0.0
        }
    },
};

/// What one pixel of a line is made of: weights that make one together, from some pixel on.
struct Taps {
    from: usize,
    weights: Vec<f32>,
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sides have at most 65,535 pixels"
)]
fn taps(from: u32, to: u32, kernel: &Kernel) -> Vec<Taps> {
    let ratio = from as f32 / to as f32;
    let scale = ratio.max(1.0);
    let reach = kernel.reach * scale;
    (0..to)
        .map(|at| {
            let centre = (at as f32 + 0.5) * ratio;
            let first = ((centre - reach).floor().max(0.0) as usize).min(from as usize - 1);
            let end = ((centre + reach).ceil() as usize).clamp(first + 1, from as usize);
            let mut weights: Vec<f32> = (first..end)
                .map(|pixel| (kernel.weight)((pixel as f32 + 0.5 - centre) / scale))
                .collect();
            let sum: f32 = weights.iter().sum();
            weights.iter_mut().for_each(|weight| *weight /= sum);
            Taps { from: first, weights }
        })
        .collect()
}

/// Rows are made narrower once, as they are needed, and forgotten when no row to come needs them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a channel is clamped to what eight bits hold"
)]
fn filter<const CHANNELS: usize, P: Pixel<Subpixel = u8>>(
    image: &ImageBuffer<P, Vec<u8>>,
    part: Part,
    width: u32,
    height: u32,
    kernel: &Kernel,
) -> ImageBuffer<P, Vec<u8>> {
    let across = taps(part.width, width, kernel);
    let down = taps(part.height, height, kernel);
    let rows_held = down.iter().map(|taps| taps.weights.len()).max().unwrap_or(1);
    let row_samples = width as usize * CHANNELS;
    let stride = image.width() as usize * CHANNELS;
    let mut held = vec![vec![0.0_f32; row_samples]; rows_held];
    let mut rows_made = 0;
    let mut sum = vec![0.0_f32; row_samples];
    let mut to = ImageBuffer::new(width, height);
    for (out, taps) in to.chunks_exact_mut(row_samples).zip(&down) {
        let end = taps.from + taps.weights.len();
        for row in rows_made.max(taps.from)..end {
            let begin = (part.y as usize + row) * stride + part.x as usize * CHANNELS;
            let source = &image.as_raw()[begin..begin + part.width as usize * CHANNELS];
            narrow::<CHANNELS>(source, &across, &mut held[row % rows_held]);
        }
        rows_made = end;
        sum.fill(0.0);
        for (row, weight) in (taps.from..end).zip(&taps.weights) {
            for (sum, sample) in sum.iter_mut().zip(&held[row % rows_held]) {
                *sum += sample * weight;
            }
        }
        for (out, sum) in out.iter_mut().zip(&sum) {
            *out = (sum + 0.5).clamp(0.0, 255.0) as u8;
        }
    }
    to
}

fn narrow<const CHANNELS: usize>(source: &[u8], across: &[Taps], to: &mut [f32]) {
    let (source, _) = source.as_chunks::<CHANNELS>();
    let (to, _) = to.as_chunks_mut::<CHANNELS>();
    for (to, taps) in to.iter_mut().zip(across) {
        let mut sums = [0.0_f32; CHANNELS];
        for (pixel, weight) in source[taps.from..].iter().zip(&taps.weights) {
            for (sum, sample) in sums.iter_mut().zip(pixel) {
                *sum += f32::from(*sample) * weight;
            }
        }
        *to = sums;
    }
}

#[cfg(test)]
mod tests {
    use image::imageops::FilterType;
    use image::{Rgb, Rgba};

    use super::*;

    fn waves(width: u32, height: u32) -> DynamicImage {
        DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |x, y| {
            let wave = (f64::from(x) / 3.0).sin() * (f64::from(y) / 5.0).cos() * 100.0;
            Rgb([128.0 + wave, 128.0 - wave, f64::from(x % 256)].map(|channel| channel as u8))
        }))
    }

    /// Another's filters of the same names, with all of the picture in memory, make the same of it.
    #[test]
    fn what_comes_out_is_what_the_filters_say() {
        let image = waves(120, 90);
        for (width, height) in [(60, 45), (100, 80), (240, 200), (1, 1), (120, 20), (7, 90)] {
            let part = Part {
                x: 0,
                y: 0,
                width: 120,
                height: 90,
            };
            let ours = resize(&image, part, width, height).into_rgb8();
            let theirs = match part.halfway(width, height) {
                Some((near_width, near_height)) => image
                    .thumbnail_exact(near_width, near_height)
                    .resize_exact(width, height, FilterType::Triangle),
                None => image.resize_exact(width, height, FilterType::CatmullRom),
            };
            let differs = ours
                .as_raw()
                .iter()
                .zip(theirs.into_rgb8().as_raw())
                .map(|(one, other)| one.abs_diff(*other))
                .max();
            assert!(differs <= Some(1), "{width} by {height}: {differs:?}");
        }
    }

    #[test]
    fn of_a_part_nothing_around_it_is_seen() {
        let mut image = RgbaImage::from_pixel(50, 50, Rgba([255, 0, 0, 255]));
        (10..30).for_each(|x| (20..40).for_each(|y| image.put_pixel(x, y, Rgba([0, 0, 255, 128]))));
        let part = Part {
            x: 10,
            y: 20,
            width: 20,
            height: 20,
        };
        for side in [3, 15, 20, 33] {
            let resized = resize(&DynamicImage::ImageRgba8(image.clone()), part, side, side).into_rgba8();
            assert!(
                resized.pixels().all(|pixel| pixel.0 == [0, 0, 255, 128]),
                "{side}"
            );
        }
    }
}
