//! The vote: new contents beside their targets, pre-images kept, everything synced and compared
//! once more.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::workspace::{There, look, there};
use super::{Act, Decision, Image, Place, Plan, PrepareError, TreePath, Workspace};
use crate::FileId;
use crate::env::{Found, Tree};

impl Workspace {
    /// Prepares everything that `plan` needs. The intent of the plan must be durable by now.
    ///
    /// # Errors
    /// See [`PrepareError`]. Stages may lie about: abort the transaction.
    pub fn stage(&self, plan: &Plan) -> Result<Decision, PrepareError> {
        let trees = self.open_all(&plan.roots)?;
        for content in plan.contents.values() {
            let kept = self.blobs().put(content);
            kept.map_err(io_error("keep a copy in", "blobs"))?;
        }
        let synced = self.blobs().sync();
        synced.map_err(io_error("sync", "blobs"))?;
        let mut directories: BTreeSet<(&FileId, Option<TreePath>)> = BTreeSet::new();
        for step in &plan.steps {
            let Act::Put { after, stage, .. } = &step.act else {
                continue;
            };
            let content = plan.contents.get(&after.sha256);
            let content = content.expect("a plan holds every content that it names");
            let created = tree(&trees, &step.place.root).create(stage, content, after.mode);
            created.map_err(io_error("write", stage.as_str()))?;
            directories.insert((&step.place.root, stage.parent()));
        }
        for (root, directory) in directories {
            let synced = tree(&trees, root).sync_dir(directory.as_ref());
            let name = directory.as_ref().map_or(root.as_str(), TreePath::as_str);
            synced.map_err(io_error("sync the directory", name))?;
        }
        for step in &plan.steps {
            vote(tree(&trees, &step.place.root), &step.place, &step.act)?;
        }
        Ok(plan.decision())
    }

    fn open_all(
        &self,
        roots: &BTreeMap<FileId, String>,
    ) -> Result<BTreeMap<FileId, Box<dyn Tree>>, PrepareError> {
        let open = |(name, path): (&FileId, &String)| {
            let tree = self.open(path);
            let tree = tree.map_err(io_error("open the root", path))?;
            Ok((name.clone(), tree))
        };
        roots.iter().map(open).collect()
    }
}

/// Whether the name still stands for what the survey saw.
fn vote(tree: &dyn Tree, place: &Place, act: &Act) -> Result<(), PrepareError> {
    let path = &place.path;
    let expected = match act {
        Act::Put { before, .. } => before.as_ref().map_or(There::Nothing, file),
        Act::Remove { before, .. } => file(before),
        Act::Same { after } => file(after),
        Act::MakeDir { existed } => {
            let found = look(tree, path).map_err(io_error("look at", path.as_str()))?;
            return match (found, existed) {
                (None, false) | (Some(Found::Directory), true) => Ok(()),
                _ => Err(changed(place)),
            };
        }
        // It goes only if it is empty, which nobody has to vote on.
        Act::RemoveDir {} => return Ok(()),
    };
    let found = there(tree, path).map_err(io_error("read", path.as_str()))?;
    if found == expected {
        Ok(())
    } else {
        Err(changed(place))
    }
}

fn file(image: &Image) -> There {
    There::File(image.sha256.clone())
}

fn changed(place: &Place) -> PrepareError {
    PrepareError::Conflict {
        root: place.root.clone(),
        path: place.path.clone(),
        found: "somebody has changed it meanwhile".to_owned(),
        expected: "what was there before".to_owned(),
    }
}

fn tree<'t>(trees: &'t BTreeMap<FileId, Box<dyn Tree>>, root: &FileId) -> &'t dyn Tree {
    let tree = trees.get(root);
    &**tree.expect("a plan names the root of every step")
}

fn io_error(verb: &'static str, what: &str) -> impl Fn(io::Error) -> PrepareError {
    let what = what.to_owned();
    move |source| PrepareError::Io {
        verb,
        what: what.clone(),
        source,
    }
}
