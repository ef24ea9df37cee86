//! One suite for every tree: the real one by handles, the one by paths, the simulated one.

use std::io::ErrorKind;
use std::path::Path;

use super::path_tree::PathTree;
use super::{Disk as _, Found, OsDisk, SimDisk, Tree, Trees as _};
use crate::transaction::TreePath;

fn path(text: &str) -> TreePath {
    TreePath::new(text).expect("a path")
}

fn kind<T: std::fmt::Debug>(result: std::io::Result<T>) -> ErrorKind {
    result.expect_err("refused").kind()
}

/// `exchanges`: whether the system can exchange names.
fn conforms(tree: &dyn Tree, exchanges: bool) {
    let (a, b, dir, inside) = (path("a"), path("b"), path("d"), path("d/x"));
    assert_eq!(tree.look(&a).expect("looked"), None);
    assert_eq!(kind(tree.look(&inside)), ErrorKind::NotFound);
    tree.create(&a, b"one", None).expect("created");
    assert_eq!(kind(tree.create(&a, b"x", None)), ErrorKind::AlreadyExists);
    assert_eq!(tree.look(&a).expect("looked"), Some(Found::File));
    assert_eq!(tree.read(&a, 3).expect("read").bytes, b"one");
    assert_eq!(kind(tree.read(&a, 2)), ErrorKind::InvalidData);
    tree.make_dir(&dir).expect("made");
    assert_eq!(tree.look(&dir).expect("looked"), Some(Found::Directory));
    assert_eq!(kind(tree.make_dir(&dir)), ErrorKind::AlreadyExists);
    tree.create(&b, b"two", None).expect("created");
    assert_eq!(kind(tree.rename_new(&a, &b)), ErrorKind::AlreadyExists);
    if exchanges {
        tree.exchange(&a, &b).expect("exchanged");
        assert_eq!(tree.read(&a, 9).expect("read").bytes, b"two");
        tree.exchange(&a, &b).expect("exchanged");
    } else {
        assert_eq!(kind(tree.exchange(&a, &b)), ErrorKind::Unsupported);
    }
    tree.rename_new(&b, &inside).expect("renamed");
    tree.sync_dir(Some(&dir)).expect("synced");
    tree.sync_dir(None).expect("synced");
    assert_eq!(tree.names(None).expect("names"), ["a", "d"]);
    assert_eq!(tree.names(Some(&dir)).expect("names"), ["x"]);
    assert_eq!(kind(tree.remove_dir(&dir)), ErrorKind::DirectoryNotEmpty);
    tree.replace(&a, &inside).expect("replaced");
    assert_eq!(tree.read(&inside, 9).expect("read").bytes, b"one");
    tree.remove(&inside).expect("removed");
    tree.remove_dir(&dir).expect("removed");
    assert_eq!(tree.names(None).expect("names"), Vec::<String>::new());
}

#[test]
fn every_tree_keeps_the_same_contract() {
    let root = tempfile::tempdir().expect("a directory");
    let by_handle = OsDisk.open_tree(root.path()).expect("a tree");
    conforms(
        &*by_handle,
        cfg!(any(target_os = "linux", target_vendor = "apple")),
    );
    conforms(&PathTree::open(root.path()).expect("a tree"), false);
    let disk = SimDisk::new();
    disk.make_dir(Path::new("/r")).expect("made");
    conforms(&*disk.open_tree(Path::new("/r")).expect("a tree"), true);
}

#[cfg(unix)]
#[test]
fn links_are_neither_followed_nor_opened() {
    let outside = tempfile::tempdir().expect("a directory");
    let root = tempfile::tempdir().expect("a directory");
    let link = |to: &Path, name: &str| {
        std::os::unix::fs::symlink(to, root.path().join(name)).expect("a link");
    };
    let canary = outside.path().join("canary");
    std::fs::write(&canary, "safe").expect("written");
    link(outside.path(), "dir");
    link(&canary, "file");
    let trees: [Box<dyn Tree>; 2] = [
        OsDisk.open_tree(root.path()).expect("a tree"),
        Box::new(PathTree::open(root.path()).expect("a tree")),
    ];
    for tree in trees {
        assert_eq!(
            tree.look(&path("file")).expect("looked"),
            Some(Found::Other)
        );
        assert_eq!(tree.look(&path("dir")).expect("looked"), Some(Found::Other));
        assert!(tree.read(&path("file"), 9).is_err());
        assert!(tree.read(&path("dir/canary"), 9).is_err());
        assert!(tree.create(&path("dir/new"), b"x", None).is_err());
        assert!(tree.remove(&path("dir/canary")).is_err());
        assert!(tree.names(Some(&path("dir"))).is_err());
    }
    assert_eq!(std::fs::read_dir(outside.path()).expect("read").count(), 1);
}

#[cfg(unix)]
#[test]
fn files_keep_the_permissions_that_they_are_given() {
    let root = tempfile::tempdir().expect("a directory");
    let tree = OsDisk.open_tree(root.path()).expect("a tree");
    tree.create(&path("run"), b"#!", Some(0o755))
        .expect("created");
    assert_eq!(tree.read(&path("run"), 9).expect("read").mode, Some(0o755));
}
