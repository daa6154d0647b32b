// SPDX-License-Identifier: GPL-2.0

//! The root file system of the guest: this program, its libraries, and the modules and the firmware
//! that the function needs, of the running kernel.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::fs::{
        DirBuilderExt,
        OpenOptionsExt, //
    },
    path::{
        Path,
        PathBuf, //
    },
    process::Stdio,
};

use super::{
    firmware::{
        self,
        Firmware, //
    },
    init::{
        MODULES,
        ORDER, //
    },
};
use crate::{
    sysfs,
    tool, //
};

/// Where programs expect the dynamic linker.
const LINKER: &str = "lib64/ld-linux-x86-64.so.2";
/// How much firmware a guest gets. It is in its memory twice until its kernel has unpacked it.
const FIRMWARE: u64 = 128 << 20;
/// The memory of a guest without firmware, in MiB.
const MEMORY: u64 = 256;

/// A directory that ends with this value.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// A new directory, for root alone.
    pub fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("pcidev-try-{}", std::process::id()));
        let created = fs::DirBuilder::new().mode(0o700).create(&path);
        created.map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the guest boots.
pub struct Image {
    /// The file.
    pub path: PathBuf,
    /// The memory that it needs, in MiB.
    pub memory: u64,
    /// What is not in it, in words.
    pub left_out: Option<String>,
}

/// The drivers for a `modalias`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Drivers {
    /// Paths of modules, in the order of their loading.
    modules: Vec<String>,
    /// Names of those in the kernel.
    built_in: Vec<String>,
}

impl Drivers {
    /// Parses what `modprobe --show-depends` prints: `insmod PATH OPTIONS`, `builtin NAME`, or
    /// `install COMMAND`.
    fn parse(text: &str) -> Self {
        let mut drivers = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (names, name) = match (words.next(), words.next()) {
                (Some("insmod"), Some(path)) => (&mut drivers.modules, path),
                (Some("builtin"), Some(name)) => (&mut drivers.built_in, name),
                _ => continue,
            };
            if !names.iter().any(|other| other == name) {
                names.push(name.to_owned());
            }
        }
        drivers
    }
}

/// The contents of a module, which may be compressed.
fn contents(path: &Path) -> Result<Vec<u8>, String> {
    let program = match path.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => return fs::read(path).map_err(|e| format!("{}: {e}", path.display())),
    };
    let output = tool::command(program).args(["-d", "-c"]).arg(path).output();
    match output {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(output) => Err(format!(
            "{program} -d {}: {}",
            path.display(),
            output.status
        )),
        Err(e) => Err(format!("{program}: {e}")),
    }
}

/// The libraries that this program has mapped.
fn libraries(maps: &str) -> BTreeSet<&str> {
    let paths = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    paths.filter(|path| path.contains(".so")).collect()
}

fn put(root: &Path, name: &str, contents: &[u8], mode: u32) -> Result<(), String> {
    let path = root.join(name);
    let write = || {
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        let mut file = fs::File::options()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&path)?;
        file.write_all(contents)
    };
    write().map_err(|e| format!("{}: {e}", path.display()))
}

/// Makes the image below `scratch`.
pub fn make(scratch: &Path, modalias: &str) -> Result<Image, String> {
    let root = scratch.join("root");
    let read = |path: &Path| fs::read(path).map_err(|e| format!("{}: {e}", path.display()));
    let read_name = |path: &str| read(Path::new(path));
    put(&root, "init", &read_name("/proc/self/exe")?, 0o755)?;
    put(&root, LINKER, &read_name(&format!("/{LINKER}"))?, 0o755)?;
    let maps = read_name("/proc/self/maps")?;
    let maps = String::from_utf8_lossy(&maps);
    for library in libraries(&maps) {
        let name = library.trim_start_matches('/');
        if name != LINKER {
            put(&root, name, &read_name(library)?, 0o755)?;
        }
    }
    // It fails if there is no driver.
    let drivers = tool::run(&["modprobe", "--show-depends", modalias]).unwrap_or_default();
    let Drivers { modules, built_in } = Drivers::parse(&drivers);
    let mut order = Vec::new();
    for path in modules.iter().map(Path::new) {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = stem.trim_end_matches(".ko").to_owned() + ".ko";
        put(&root, &format!("{MODULES}/{name}"), &contents(path)?, 0o644)?;
        order.push(name);
    }
    put(&root, ORDER, order.join("\n").as_bytes(), 0o644)?;
    let names = { modules.iter().chain(&built_in) }
        .flat_map(|module| firmware::of_module(module))
        .collect();
    let kernel = sysfs::text(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default();
    let firmware = Firmware::find(Path::new("/"), &kernel, &names, FIRMWARE);
    for (path, name) in &firmware.files {
        put(&root, name, &read(path)?, 0o644)?;
    }
    Ok(Image {
        path: archive(&root, &scratch.join("initrd"))?,
        memory: MEMORY.saturating_add(firmware::mib(firmware.size).saturating_mul(2)),
        left_out: firmware.left_out,
    })
}

/// The names of all files below a directory, each after its directory.
fn all_names(root: &Path, below: &Path, names: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(below)? {
        let path = entry?.path();
        let name = path.strip_prefix(root).unwrap_or(&path);
        names.push(name.to_string_lossy().into_owned());
        if path.is_dir() {
            all_names(root, &path, names)?;
        }
    }
    Ok(())
}

fn archive(root: &Path, image: &Path) -> Result<PathBuf, String> {
    let failed = |e: std::io::Error| format!("cpio: {e}");
    let mut names = Vec::new();
    all_names(root, root, &mut names).map_err(failed)?;
    let mut child = tool::command("cpio")
        .args(["-o", "-H", "newc"])
        .current_dir(root)
        .stdin(Stdio::piped())
        .stdout(fs::File::create(image).map_err(failed)?)
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input
            .write_all((names.join("\n") + "\n").as_bytes())
            .map_err(failed)?;
    }
    match child.wait().map_err(failed)? {
        status if status.success() => Ok(image.to_owned()),
        status => Err(format!("cpio: {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers() {
        let text = "builtin 8250\ninsmod /lib/a.ko.xz x=1\ninsmod /lib/b.ko\ninsmod /lib/a.ko.xz\n";
        let drivers = Drivers::parse(text);
        assert_eq!(drivers.modules, ["/lib/a.ko.xz", "/lib/b.ko"]);
        assert_eq!(drivers.built_in, ["8250"]);
        assert_eq!(Drivers::parse("install /bin/true\n"), Drivers::default());
    }

    #[test]
    fn mapped_libraries() {
        let maps = "\
55d0-55d1 r--p 00000000 fe:00 1 /usr/bin/pcidev
7f00-7f01 r-xp 00000000 fe:00 2 /usr/lib/x86_64-linux-gnu/libc.so.6
7f01-7f02 r--p 00000000 fe:00 2 /usr/lib/x86_64-linux-gnu/libc.so.6
7f02-7f03 rw-p 00000000 00:00 0
7ffc-7ffd rw-p 00000000 00:00 0 [stack]
";
        let found: Vec<_> = libraries(maps).into_iter().collect();
        assert_eq!(found, ["/usr/lib/x86_64-linux-gnu/libc.so.6"]);
    }
}
