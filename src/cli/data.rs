//! `dalenet data`: fetch, inspect and draw data.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use dalenet::data::{
    ArrayValues, FetchOptions, ImageSet, NamedArray, Samples, digits, fetch_mnist, load_mnist,
    load_new_samples, user_mnist_folder, write_npz,
};
use dalenet::files::write_atomic;
use dalenet::text;
use image::{GrayImage, ImageFormat};

use super::SUCCESS;
use super::error::{Failed, Result, UsageError};
use super::output::{note, say, say_facts};

/// Fetch, inspect or draw data
#[derive(clap::Subcommand)]
pub enum Command {
    /// Fetch a data set from public mirrors, verified; an interrupted download is resumed
    Fetch(FetchArgs),
    /// Say what data is found, where, and whether it is the original
    Info(InfoArgs),
    /// Write the built-in synthetic digits, or a file's images, as a picture or an .npz file
    Digits(DigitsArgs),
}

/// Fetch a data set from public mirrors, verified
#[derive(clap::Args)]
pub struct FetchArgs {
    /// Which one
    #[arg(value_parser = ["mnist"])]
    name: String,
    /// Folder for it (default: the user's data folder)
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
}

/// Say what data is found, where, and whether it is the original
#[derive(clap::Args)]
pub struct InfoArgs {
    /// Folder of MNIST, an .npz file, or an IDX image file (default: where `train` looks)
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
}

/// Write the built-in synthetic digits, or a file's images, as a picture or an .npz file
#[derive(clap::Args)]
pub struct DigitsArgs {
    /// File to write: .png (a contact sheet) or .npz (images and labels)
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// How many
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
    /// Seed of the synthetic digits
    #[arg(long, value_name = "N", default_value_t = 42)]
    seed: u64,
    /// Show the images of this file or folder instead
    #[arg(long, value_name = "PATH")]
    data: Option<PathBuf>,
}

pub fn run(command: Command) -> Result<u8> {
    match command {
        Command::Fetch(args) => fetch(&args),
        Command::Info(args) => info(&args),
        Command::Digits(args) => draw(&args),
    }
}

fn fetch(args: &FetchArgs) -> Result<u8> {
    let folder = match &args.to {
        Some(folder) => folder.clone(),
        None => user_mnist_folder().ok_or_else(|| {
            UsageError("this system names no folder for user data; name one with --to DIR".into())
        })?,
    };
    let on_terminal = std::io::stderr().is_terminal();
    let mut whole = String::new();
    fetch_mnist(&folder, &FetchOptions::default(), |file, done, total| {
        if on_terminal {
            let _ = write!(
                std::io::stderr(),
                "\r{file}: {} %   ",
                100 * done / total.max(1)
            );
        }
        if done == total && whole != file {
            whole = file.to_owned();
            let start = if on_terminal { "\r" } else { "" };
            note(format!("{start}{file}: complete"));
        }
    })?;
    let mnist = load_mnist(Some(&folder))?;
    say(format!(
        "{}: {}{}",
        folder.display(),
        text::count(mnist.images.len(), "image", "images"),
        if mnist.verified { ", verified" } else { "" }
    ));
    if args.to.is_some() {
        say(format!("use it with --data {}", folder.display()));
    }
    Ok(SUCCESS)
}

fn info(args: &InfoArgs) -> Result<u8> {
    match &args.data {
        Some(file) if !file.is_dir() => {
            let new = load_new_samples(file, None)?;
            let mut facts = vec![
                ("file", file.display().to_string()),
                ("samples", new.samples.len().to_string()),
                ("inputs", new.samples.inputs().to_string()),
            ];
            if let Samples::Images(set) = &new.samples {
                facts.extend(image_facts(set));
            }
            if let Samples::Events(set) = &new.samples {
                let events: usize = set.trials.iter().map(Vec::len).sum();
                facts.push(("duration", format!("{} ms", set.duration_ms)));
                let mean = events as f64 / set.len().max(1) as f64;
                facts.push(("events", format!("{mean:.1} a trial")));
            }
            if new.is_labelled {
                facts.push(("classes", class_counts(&new.samples)));
            }
            say_facts(&facts);
        }
        folder => {
            let mnist = load_mnist(folder.as_deref())?;
            let verified = if mnist.verified {
                "yes, the original MNIST"
            } else {
                "no, not the original MNIST: results will differ"
            };
            let mut facts = vec![
                ("folder", mnist.folder.display().to_string()),
                ("verified", verified.to_owned()),
                (
                    "samples",
                    format!(
                        "{} training, {} test",
                        mnist.training_file_samples,
                        mnist.images.len() - mnist.training_file_samples
                    ),
                ),
            ];
            facts.extend(image_facts(&mnist.images));
            facts.push(("classes", class_counts(&Samples::Images(mnist.images))));
            say_facts(&facts);
        }
    }
    Ok(SUCCESS)
}

fn image_facts(set: &ImageSet) -> [(&'static str, String); 2] {
    let sum: u64 = set.pixels.iter().map(|&p| u64::from(p)).sum();
    let mean = sum as f64 / 255.0 / set.pixels.len().max(1) as f64;
    [
        ("size", format!("{} x {} pixels", set.height, set.width)),
        ("mean intensity", format!("{mean:.4}")),
    ]
}

fn class_counts(samples: &Samples) -> String {
    let mut counts = vec![0usize; samples.classes()];
    for &label in samples.labels() {
        counts[usize::from(label)] += 1;
    }
    let counts: Vec<String> = counts.iter().map(usize::to_string).collect();
    format!("{} ({})", counts.len(), counts.join(" "))
}

fn draw(args: &DigitsArgs) -> Result<u8> {
    let count = args.count as usize;
    let set = match &args.data {
        None => digits(count, args.seed),
        Some(path) => match load_new_samples(path, None)?.samples {
            Samples::Images(set) => {
                let first: Vec<usize> = (0..count.min(set.len())).collect();
                set.select(&first)
            }
            Samples::Events(_) => {
                let path = path.display();
                return Err(UsageError(format!("{path}: holds events, not images")).into());
            }
        },
    };
    match args.out.extension().and_then(|e| e.to_str()) {
        Some("png") => write_sheet(&set, &args.out)?,
        Some("npz") => {
            let labels: Vec<i32> = set.labels.iter().map(|&label| label.into()).collect();
            let array = |name, shape, values| NamedArray {
                name,
                shape,
                values,
            };
            let shape = [set.len(), set.height, set.width];
            let images = array("images", &shape, ArrayValues::U8(&set.pixels));
            let count = [set.len()];
            let labels = array("labels", &count, ArrayValues::I32(&labels));
            write_npz(&args.out, &[images, labels])?;
        }
        _ => {
            let path = args.out.display();
            return Err(UsageError(format!("{path}: end the name in .png or .npz")).into());
        }
    }
    say(format!(
        "{}: {}",
        text::count(set.len(), "image", "images"),
        args.out.display()
    ));
    Ok(SUCCESS)
}

/// A contact sheet: images side by side, dark on light.
fn write_sheet(set: &ImageSet, path: &Path) -> Result<()> {
    const GAP: usize = 2;
    let columns = set.len().min(20);
    let rows = set.len().div_ceil(columns);
    let (cell_width, cell_height) = (set.width + GAP, set.height + GAP);
    let width = columns * cell_width + GAP;
    let height = rows * cell_height + GAP;
    let (width, height) = match (u32::try_from(width), u32::try_from(height)) {
        (Ok(width), Ok(height)) if u64::from(width) * u64::from(height) <= 1 << 28 => {
            (width, height)
        }
        _ => {
            let problem =
                format!("a sheet of {width} x {height} pixels is too large; lower --count");
            return Err(UsageError(problem).into());
        }
    };
    let mut sheet = GrayImage::from_pixel(width, height, image::Luma([235]));
    for index in 0..set.len() {
        let left = index % columns * cell_width + GAP;
        let top = index / columns * cell_height + GAP;
        for (at, &ink) in set.image(index).iter().enumerate() {
            let (x, y) = (left + at % set.width, top + at / set.width);
            sheet.put_pixel(x as u32, y as u32, image::Luma([255 - ink]));
        }
    }
    let mut png = std::io::Cursor::new(Vec::new());
    sheet
        .write_to(&mut png, ImageFormat::Png)
        .map_err(|error| Failed(format!("{}: {error}", path.display())))?;
    Ok(write_atomic(path, png.get_ref())?)
}
