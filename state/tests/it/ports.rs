//! One door to the disk, one way to make something durable; and a fake that knows no other.

use std::path::{Path, PathBuf};

use phisync_state::env::{Disk as _, DiskFile, SimDisk, Survive, read_all};

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("the sources are there") {
        let path = entry.expect("the sources are there").path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// The text of a source file up to its tests, without comments.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("sources are text");
    let tests = text.find("#[cfg(test)]\nmod tests");
    let code = text[..tests.unwrap_or(text.len())].lines();
    let code: Vec<_> = code
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    code.join("\n")
}

/// macOS answers `fsync` before the drive has emptied its cache; the standard library asks for that.
#[test]
fn files_are_touched_in_the_port_alone_and_made_durable_by_the_standard_library_alone() {
    const DOORS: [&str; 4] = [
        "env/os.rs",
        "env/os_tree.rs",
        "env/path_tree.rs",
        "env/tree_tests.rs",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    sources(&root, &mut found);
    let mut doors = 0;
    for path in found {
        let name = path.strip_prefix(&root).expect("it lies there");
        let code = code(&path);
        for call in ["fsync(", "fdatasync(", "syncfs(", "libc::"] {
            assert!(!code.contains(call), "{} calls {call}", name.display());
        }
        if DOORS.iter().any(|door| name == Path::new(door)) {
            doors += 1;
            continue;
        }
        for door in ["std::fs", "fs::File", "OpenOptions"] {
            assert!(!code.contains(door), "{} uses {door}", name.display());
        }
    }
    assert_eq!(doors, DOORS.len());
}

/// What is left of a file with content after some steps and a power cut.
fn left(steps: impl Fn(&SimDisk, &dyn DiskFile)) -> Option<Vec<u8>> {
    let path = Path::new("/file");
    let disk = SimDisk::new();
    let file = disk.create_new(path).expect("the disk works");
    file.write_at(0, b"content").expect("the disk works");
    steps(&disk, &*file);
    drop(file);
    read_all(&disk.reboot(Survive::Nothing), path, 100).ok()
}

#[test]
fn on_the_simulated_disk_nothing_but_a_sync_of_the_file_makes_its_content_durable() {
    let sync_name = |disk: &SimDisk| disk.sync_dir(Path::new("/")).expect("the disk works");
    assert_eq!(left(|_, _| ()), None, "the name is not durable");
    assert_eq!(left(|disk, _| sync_name(disk)).as_deref(), Some(&b""[..]));
    let renamed = left(|disk, _| {
        let other = Path::new("/other");
        disk.rename(Path::new("/file"), other).expect("it works");
        disk.rename(other, Path::new("/file")).expect("it works");
        sync_name(disk);
    });
    assert_eq!(renamed.as_deref(), Some(&b""[..]), "the names alone are");
    let cut = left(|disk, file| {
        sync_name(disk);
        file.sync_data().expect("the disk works");
        file.set_len(3).expect("the disk works");
        file.write_at(0, b"C").expect("the disk works");
    });
    assert_eq!(cut.as_deref(), Some(&b"content"[..]));
    let synced = left(|disk, file| {
        sync_name(disk);
        file.set_len(3).expect("the disk works");
        file.sync_all().expect("the disk works");
    });
    assert_eq!(synced.as_deref(), Some(&b"con"[..]));
}
