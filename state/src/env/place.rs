//! Places where locks and syncs may not mean what they should.
//!
//! A guess from the names of things: what is mounted there, and what synchronised folders are called.
//! It warns and never refuses.

use std::path::{Component, Path};

/// File systems of other machines, or of programs: syncs end somewhere, locks perhaps nowhere.
const DOUBTFUL: [&str; 12] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "fuse",
    "sshfs",
    "vboxsf",
];

/// Folders that a program copies to other machines while we write.
const SYNCHRONISED: [&str; 5] = [
    "onedrive",
    "dropbox",
    "google drive",
    "icloud drive",
    "nextcloud",
];

/// Why an absolute path is no good place for a data directory, if it seems so. `mounts` is the text
/// of Linux's `/proc/self/mountinfo`, empty elsewhere.
pub(super) fn doubt(mounts: &str, path: &Path) -> Option<String> {
    let folder = path.components().find_map(|component| match component {
        Component::Normal(name) => {
            let name = name.to_string_lossy().to_lowercase();
            SYNCHRONISED
                .into_iter()
                .find(|known| name.starts_with(known))
        }
        _ => None,
    });
    if let Some(folder) = folder {
        return Some(format!("a folder that `{folder}` keeps in step"));
    }
    let mounted = mounts.lines().filter_map(|line| {
        let (place, kind) = mount(line)?;
        path.starts_with(&place).then_some((place.len(), kind))
    });
    // The last of the longest lies on top.
    let (_, kind) = mounted.max_by_key(|(length, _)| *length)?;
    let doubtful = DOUBTFUL
        .into_iter()
        .any(|doubtful| kind == doubtful || doubtful == "fuse" && kind.starts_with("fuse."));
    doubtful.then(|| format!("a file system of type `{kind}`"))
}

/// Where something is mounted, and what: fields 5 and, behind a lone hyphen, 1.
fn mount(line: &str) -> Option<(String, &str)> {
    let (before, after) = line.split_once(" - ")?;
    let place = before.split(' ').nth(4)?;
    let kind = after.split(' ').next()?;
    // Blanks are written in octal.
    Some((place.replace("\\040", " "), kind))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::doubt;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 22 0:35 / /home/ann/team rw - nfs4 server:/team rw,vers=4.2
41 40 8:2 / /home/ann/team/local rw - xfs /dev/sdb1 rw
42 22 0:36 / /mnt/my\\040disk rw - fuse.rclone remote: rw
43 22 0:37 / /mnt/fusebox rw - btrfs /dev/sdc1 rw
";

    #[test]
    fn what_is_mounted_is_told_by_the_longest_place() {
        let told = |path| doubt(MOUNTS, Path::new(path));
        assert_eq!(told("/home/ann/project/.phisync"), None);
        let nfs = Some("a file system of type `nfs4`".to_owned());
        assert_eq!(told("/home/ann/team/p/.phisync"), nfs);
        assert_eq!(told("/home/ann/team/local/.phisync"), None);
        assert_eq!(told("/home/ann/teams/.phisync"), None);
        let fuse = Some("a file system of type `fuse.rclone`".to_owned());
        assert_eq!(told("/mnt/my disk/.phisync"), fuse);
        assert_eq!(told("/mnt/fusebox/.phisync"), None);
        assert_eq!(doubt("no table at all", Path::new("/home")), None);
    }

    #[test]
    fn folders_of_synchronising_programs_are_known_by_name() {
        for path in ["/home/ann/Dropbox/p", "/c/Users/ann/OneDrive - Firm/p"] {
            assert!(doubt("", Path::new(path)).is_some(), "{path}");
        }
        assert_eq!(doubt("", Path::new("/home/dropped/box")), None);
    }
}
