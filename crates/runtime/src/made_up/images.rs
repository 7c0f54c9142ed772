//! Images of classes.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use dataset::{Description, Kind};
use png::{BitDepth, ColorType, Encoder};

use super::{drawn, samples};

/// A folder of images that is made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeUpImages {
    /// The classes.
    pub classes: Vec<String>,
    /// The smallest and the largest width.
    pub width: (u32, u32),
    /// The smallest and the largest height.
    pub height: (u32, u32),
    /// What their pixels say, in turn.
    pub colours: Vec<Colours>,
}

/// What a pixel of a made-up image says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// How bright it is.
    Grey,
    /// How red, green and blue it is.
    Rgb,
}

impl Colours {
    const fn of_png(self) -> ColorType {
        match self {
            Self::Grey => ColorType::Grayscale,
            Self::Rgb => ColorType::Rgb,
        }
    }
}

impl MadeUpImages {
    /// Writes images of each class, of the smallest and of the largest size in turn.
    pub(super) fn write(&self, folder: &Path) -> io::Result<(PathBuf, Description)> {
        let largest = u64::from(self.width.1) * u64::from(self.height.1) * 3;
        for (number, class) in self.classes.iter().enumerate() {
            let within = folder.join(class);
            std::fs::create_dir_all(&within)?;
            for sample in 0..samples(largest).div_ceil(self.classes.len()).max(4) {
                let (width, height) = match sample % 2 {
                    0 => (self.width.0, self.height.0),
                    _ => (self.width.1, self.height.1),
                };
                let colours = self.colours.get(sample / 2 % self.colours.len().max(1));
                let picture = Picture {
                    width: width.max(1),
                    height: height.max(1),
                    colours: colours.copied().unwrap_or(Colours::Rgb).of_png(),
                    class: number,
                };
                picture.write(&within.join(format!("{sample:02}.png")), sample)?;
            }
        }
        let description = Description { kind: Some(Kind::ImageFolder), ..Description::default() };
        Ok((folder.to_owned(), description))
    }
}

/// One image.
struct Picture {
    width: u32,
    height: u32,
    colours: ColorType,
    class: usize,
}

impl Picture {
    /// Writes rows of noise whose brightness is that of the class.
    fn write(&self, path: &Path, sample: usize) -> io::Result<()> {
        let mut encoder =
            Encoder::new(BufWriter::new(File::create(path)?), self.width, self.height);
        encoder.set_color(self.colours);
        encoder.set_depth(BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        let width = self.width as usize * self.colours.samples();
        let base = 40 + self.class % 8 * 20;
        let pixels = (0..self.height as usize).flat_map(|row| {
            (0..width).map(move |place| {
                let noise = drawn(row + sample, place % 97) * 2;
                u8::try_from(base + noise).unwrap_or(u8::MAX)
            })
        });
        let pixels: Vec<u8> = pixels.collect();
        writer.write_image_data(&pixels)?;
        writer.finish()?;
        Ok(())
    }
}
