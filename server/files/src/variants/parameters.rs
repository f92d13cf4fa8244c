//! What a variant of an image is to be like, as URLs say it.

use std::fmt;
use std::str::FromStr;

use andiron_protocol::InputError;
use image::ImageFormat;

/// Pixels of one side of a variant.
pub const VARIANT_SIDE_MAX: u32 = 4096;
/// How good a JPEG, a WebP or an AVIF is of which nothing is said.
const QUALITY_DEFAULT: u8 = 80;

/// How an image comes into a box of another shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fit {
    /// As large as fits into it, and never larger than it is.
    #[default]
    Inside,
    /// Fills it; what does not fit is cut off.
    Cover,
    /// As large as fits into it, with what is left empty.
    Contain,
}

/// What a variant is encoded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VariantFormat {
    /// JPEG, with a quality.
    Jpeg,
    /// PNG.
    Png,
    /// WebP, with a quality; with that of 100 it loses nothing.
    WebP,
    /// AVIF, with a quality. It takes a hundred times as long as the others, and so has fewer pixels at most.
    Avif,
}

impl VariantFormat {
    /// What an image of this format stays.
    pub(super) fn of(source: ImageFormat) -> Self {
        match source {
            ImageFormat::Jpeg => Self::Jpeg,
            ImageFormat::WebP => Self::WebP,
            _ => Self::Png,
        }
    }

    /// The media type.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Avif => "image/avif",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::WebP => "webp",
            Self::Avif => "avif",
        }
    }
}

/// A variant of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Variant {
    /// Pixels from left to right; as its height demands it if nothing is said.
    pub width: Option<u32>,
    /// Pixels from top to bottom.
    pub height: Option<u32>,
    /// How it comes into the box of both.
    pub fit: Fit,
    /// What it is encoded as; as the image is if nothing is said.
    pub format: Option<VariantFormat>,
    /// How good a JPEG, a WebP or an AVIF is, from 1 to 100.
    pub quality: u8,
}

impl Variant {
    /// The parameters that a variant can have, by their names in URLs.
    pub const PARAMETERS: [&'static str; 5] = ["width", "height", "fit", "format", "quality"];

    /// Reads parameters; `None` if there are none.
    ///
    /// # Errors
    /// If one of them has no meaning.
    pub fn read<'p>(get: impl Fn(&'static str) -> Option<&'p str>) -> Result<Option<Self>, InputError> {
        if Self::PARAMETERS.iter().all(|name| get(name).is_none()) {
            return Ok(None);
        }
        let side = |name: &'static str| {
            get(name)
                .map(|text| number(text, VARIANT_SIDE_MAX).map_err(|error| error.in_field(name)))
                .transpose()
        };
        let refuse =
            |name: &str, choices: &str| Err(InputError::new(format!("it is {choices}")).in_field(name));
        Ok(Some(Self {
            width: side("width")?,
            height: side("height")?,
            fit: match get("fit") {
                None | Some("inside") => Fit::Inside,
                Some("cover") => Fit::Cover,
                Some("contain") => Fit::Contain,
                Some(_) => return refuse("fit", "`cover`, `contain` or `inside`"),
            },
            format: match get("format") {
                None => None,
                Some("jpeg") => Some(VariantFormat::Jpeg),
                Some("png") => Some(VariantFormat::Png),
                Some("webp") => Some(VariantFormat::WebP),
                Some("avif") => Some(VariantFormat::Avif),
                Some(_) => return refuse("format", "`jpeg`, `png`, `webp` or `avif`"),
            },
            quality: match get("quality") {
                None => QUALITY_DEFAULT,
                Some(text) => {
                    let quality = number(text, 100).map_err(|error| error.in_field("quality"))?;
                    u8::try_from(quality).unwrap_or(QUALITY_DEFAULT)
                }
            },
        }))
    }
}

fn number(text: &str, max: u32) -> Result<u32, InputError> {
    text.parse()
        .ok()
        .filter(|number| (1..=max).contains(number) && text.bytes().all(|byte| byte.is_ascii_digit()))
        .ok_or_else(|| InputError::new(format!("it is a number from 1 to {max}")))
}

/// As parameters stand in a URL, each once and in any order.
impl FromStr for Variant {
    type Err = InputError;

    fn from_str(text: &str) -> Result<Self, InputError> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for pair in text.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !Self::PARAMETERS.contains(&name) || pairs.iter().any(|(known, _)| *known == name) {
                return Err(InputError::new(format!(
                    "a variant has `{}`, each once",
                    Self::PARAMETERS.join("`, `")
                ))
                .in_field("variant"));
            }
            pairs.push((name, value));
        }
        let get = |name| {
            pairs
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| *value)
        };
        Self::read(get)?.ok_or_else(|| InputError::new("a variant says something").in_field("variant"))
    }
}

/// The parameters, always in the same order: equal variants have equal texts.
impl fmt::Display for Variant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(width) = self.width {
            write!(formatter, "width={width}&")?;
        }
        if let Some(height) = self.height {
            write!(formatter, "height={height}&")?;
        }
        let fit = match self.fit {
            Fit::Inside => "inside",
            Fit::Cover => "cover",
            Fit::Contain => "contain",
        };
        write!(formatter, "fit={fit}")?;
        if let Some(format) = self.format {
            write!(formatter, "&format={}", format.name())?;
        }
        if !matches!(self.format, Some(VariantFormat::Png)) {
            write!(formatter, "&quality={}", self.quality)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_variants_have_equal_texts_that_lead_back_to_them() {
        for (text, shown) in [
            ("height=5&width=7", "width=7&height=5&fit=inside&quality=80"),
            (
                "width=7&format=webp&quality=3&fit=cover",
                "width=7&fit=cover&format=webp&quality=3",
            ),
            (
                "width=7&format=png&quality=3&fit=cover",
                "width=7&fit=cover&format=png",
            ),
            ("format=avif&width=9", "width=9&fit=inside&format=avif&quality=80"),
            ("format=jpeg&quality=50", "fit=inside&format=jpeg&quality=50"),
        ] {
            let variant: Variant = text.parse().unwrap();
            assert_eq!(variant.to_string(), shown);
            let again: Variant = shown.parse().unwrap();
            assert_eq!(again.to_string(), shown);
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        for bad in [
            "",
            "width=0",
            "width=4097",
            "width=-1",
            "width=+1",
            "width=1e3",
            "width=1&width=2",
            "fit=fill",
            "format=svg",
            "quality=0",
            "quality=101",
            "width=1&x=2",
        ] {
            assert!(bad.parse::<Variant>().is_err(), "{bad}");
        }
    }
}
