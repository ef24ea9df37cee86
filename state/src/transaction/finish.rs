//! What is left to do of a transaction, by looking at the disk: in the living and in recovery.
//!
//! Until `Finished` is durable nothing that tells how far things are is removed: a stage with the
//! new content says "not yet", one with the old content says "exchanged", and a name that went is
//! still there under its stage. So every step can be done again from wherever it was left. What
//! comes out of an exchange and is not the pre-image is a stranger's: it is kept beside.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use super::workspace::{There, look, there};
use super::{
    Act, Decision, Image, Intent, Kept, Phase, Place, Step, TransactionEvent, TransactionId,
    TransactionState, TreePath, Workspace,
};
use crate::FileId;
use crate::env::{Found, Tree};

/// Why a phase could not be completed. It is tried again later; nothing is lost by that.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} `{what}`: {source}")]
pub struct FinishError {
    /// What was tried.
    pub verb: &'static str,
    /// With what.
    pub what: String,
    /// The system's words.
    pub source: io::Error,
}

impl Workspace {
    /// Does what the transaction's phase asks for, and gives the event to append; `None` if nothing
    /// is left. To be called again after the event is durable.
    ///
    /// # Errors
    /// See [`FinishError`]; some of it may be done.
    pub fn advance(
        &self,
        state: &TransactionState,
    ) -> Result<Option<TransactionEvent>, FinishError> {
        match (state.phase, &state.decision) {
            (Phase::Began, _) => {
                let reason = "the server stopped before it was decided";
                Ok(Some(self.abort(&state.intent, "files.prepare", reason)?))
            }
            (Phase::Decided, Some(decision)) => {
                let kept = self.finish(&state.id, &state.intent, decision)?;
                Ok(Some(TransactionEvent::Finished { kept }))
            }
            (Phase::Finished, Some(decision)) => {
                self.sweep(&state.id, &state.intent, decision)?;
                Ok(Some(TransactionEvent::Swept {}))
            }
            (Phase::Decided | Phase::Finished, None) | (Phase::Swept | Phase::Aborted, _) => {
                Ok(None)
            }
        }
    }

    /// Removes what staging left, durably, and gives the event that says so.
    ///
    /// # Errors
    /// See [`FinishError`].
    pub fn abort(
        &self,
        intent: &Intent,
        code: &str,
        reason: &str,
    ) -> Result<TransactionEvent, FinishError> {
        let mut hands = Hands::open(self, intent)?;
        for Place { root, path } in &intent.stages {
            let tree = hands.tree(root)?;
            if look(tree, path).map_err(error("look at", path))?.is_some() {
                tree.remove(path).map_err(error("remove", path))?;
            }
            // Also if it is gone: its removal may not be durable yet.
            hands.touch(root, path);
        }
        hands.sync()?;
        Ok(TransactionEvent::Aborted {
            code: code.to_owned(),
            reason: reason.to_owned(),
        })
    }

    fn finish(
        &self,
        id: &TransactionId,
        intent: &Intent,
        decision: &Decision,
    ) -> Result<Vec<Kept>, FinishError> {
        let mut hands = Hands::open(self, intent)?;
        let mut all_kept = Vec::new();
        for step in &decision.files {
            let kept = kept_name(id, &step.place.path);
            hands.act(step, &kept)?;
            let tree = hands.tree(&step.place.root)?;
            // By looking, because a crash may have come between the renaming and the record.
            if look(tree, &kept)
                .map_err(error("look at", &kept))?
                .is_some()
            {
                let place = step.place.clone();
                all_kept.push(Kept { place, kept });
            }
        }
        hands.sync()?;
        Ok(all_kept)
    }

    fn sweep(
        &self,
        id: &TransactionId,
        intent: &Intent,
        decision: &Decision,
    ) -> Result<(), FinishError> {
        let mut hands = Hands::open(self, intent)?;
        for Step { place, act } in &decision.files {
            let (stage, ours) = match act {
                Act::Put {
                    before,
                    after,
                    stage,
                } => (stage, [before.as_ref(), Some(after)]),
                Act::Remove { before, stage } => (stage, [Some(before), None]),
                // Last, because the leftovers of its files lie in it until here.
                Act::RemoveDir {} => {
                    remove_dir(hands.tree(&place.root)?, &place.path)?;
                    hands.touch(&place.root, &place.path);
                    continue;
                }
                Act::Same { .. } | Act::MakeDir { .. } => continue,
            };
            let ours = |digest| ours.iter().flatten().any(|image| image.sha256 == digest);
            let tree = hands.tree(&place.root)?;
            match there(tree, stage).map_err(error("read", stage))? {
                There::Nothing => {}
                There::File(digest) if ours(digest.clone()) => {
                    tree.remove(stage).map_err(error("remove", stage))?;
                }
                // Somebody wrote to the old file after it had lost its name.
                There::File(_) | There::Other => {
                    let kept = kept_name(id, &place.path);
                    tree.rename_new(stage, &kept)
                        .map_err(error("keep aside", stage))?;
                    hands.touch(&place.root, &kept);
                }
            }
            hands.touch(&place.root, stage);
        }
        hands.sync()
    }
}

/// The name under which a stranger's file stays beside `path`.
fn kept_name(id: &TransactionId, path: &TreePath) -> TreePath {
    let name = format!("{}.{id}.conflict", path.name());
    TreePath::inside(path.parent().as_ref(), &name)
}

/// The trees of one transaction, and the directories whose names it has changed.
struct Hands<'w> {
    workspace: &'w Workspace,
    trees: BTreeMap<FileId, Box<dyn Tree>>,
    touched: BTreeSet<(FileId, Option<TreePath>)>,
}

impl<'w> Hands<'w> {
    fn open(workspace: &'w Workspace, intent: &Intent) -> Result<Self, FinishError> {
        let mut trees = BTreeMap::new();
        for (name, path) in &intent.roots {
            let tree = workspace.open(path).map_err(error("open the root", path))?;
            trees.insert(name.clone(), tree);
        }
        Ok(Self {
            workspace,
            trees,
            touched: BTreeSet::new(),
        })
    }

    fn tree(&self, root: &FileId) -> Result<&dyn Tree, FinishError> {
        let tree = self.trees.get(root).map(|tree| &**tree);
        tree.ok_or_else(|| error("open the root", root)(io::ErrorKind::NotFound.into()))
    }

    fn touch(&mut self, root: &FileId, path: &TreePath) {
        self.touched.insert((root.clone(), path.parent()));
    }

    fn sync(&self) -> Result<(), FinishError> {
        for (root, directory) in &self.touched {
            let tree = self.tree(root)?;
            let name = directory.as_ref().map_or(root.as_str(), TreePath::as_str);
            match tree.sync_dir(directory.as_ref()) {
                // A directory that is gone has no names to keep.
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => {}
                synced => synced.map_err(error("sync the directory", name))?,
            }
        }
        Ok(())
    }

    fn act(&mut self, step: &Step, kept: &TreePath) -> Result<(), FinishError> {
        let Place { root, path } = &step.place;
        self.touch(root, path);
        match &step.act {
            Act::Put {
                before,
                after,
                stage,
            } => {
                self.touch(root, stage);
                self.make_way(root, path)?;
                self.put(root, path, before.as_ref(), after, stage, kept)
            }
            Act::Remove { before, stage } => {
                self.touch(root, stage);
                take_away(self.tree(root)?, path, before, stage, kept)
            }
            Act::Same { .. } | Act::RemoveDir {} => Ok(()),
            Act::MakeDir { .. } => {
                self.make_way(root, path)?;
                make_dir(self.tree(root)?, path, kept)
            }
        }
    }

    /// Makes the directories above `path` again, should somebody have removed them.
    fn make_way(&mut self, root: &FileId, path: &TreePath) -> Result<(), FinishError> {
        let Some(parent) = path.parent() else {
            return Ok(());
        };
        let found = look(self.tree(root)?, &parent).map_err(error("look at", &parent))?;
        if found.is_some() {
            return Ok(());
        }
        self.make_way(root, &parent)?;
        self.touch(root, &parent);
        let made = self.tree(root)?.make_dir(&parent);
        made.map_err(error("make the directory", &parent))
    }

    fn put(
        &self,
        root: &FileId,
        path: &TreePath,
        before: Option<&Image>,
        after: &Image,
        stage: &TreePath,
        kept: &TreePath,
    ) -> Result<(), FinishError> {
        let tree = self.tree(root)?;
        let target = there(tree, path).map_err(error("read", path))?;
        let done = target == is(after);
        let untouched = target == before.map_or(There::Nothing, is);
        match there(tree, stage).map_err(error("read", stage))? {
            // Not exchanged yet, and a stranger may have written the very same content.
            staged if staged == is(after) => {
                if done {
                    Ok(())
                } else {
                    take_place(tree, path, before, stage, kept)
                }
            }
            // Somebody swept the stage, or a plain rename has used it up.
            There::Nothing if untouched || target == There::Nothing => {
                self.stage_again(tree, after, stage)?;
                take_place(tree, path, before, stage, kept)
            }
            There::Nothing => Ok(()),
            // Exchanged. What changed afterwards is later work.
            staged if before.is_some_and(|before| staged == is(before)) => Ok(()),
            // Exchanged with something that was not there at the vote; or it is not what was
            // staged, and the target has not moved.
            There::File(_) | There::Other if untouched && !done => {
                tree.rename_new(stage, kept)
                    .map_err(error("keep aside", stage))?;
                self.stage_again(tree, after, stage)?;
                take_place(tree, path, before, stage, kept)
            }
            There::File(_) | There::Other => tree
                .rename_new(stage, kept)
                .map_err(error("keep aside", stage)),
        }
    }

    fn stage_again(
        &self,
        tree: &dyn Tree,
        after: &Image,
        stage: &TreePath,
    ) -> Result<(), FinishError> {
        let content = self.workspace.blobs().get(&after.sha256);
        let content = content.map_err(error("read the blob", &after.sha256))?;
        let lost = || error("read the blob", &after.sha256)(io::ErrorKind::NotFound.into());
        let content = content.ok_or_else(lost)?;
        let created = tree.create(stage, &content, after.mode);
        created.map_err(error("write", stage))
    }
}

fn is(image: &Image) -> There {
    There::File(image.sha256.clone())
}

/// Puts the stage, whose content was verified, in the place of the target.
fn take_place(
    tree: &dyn Tree,
    path: &TreePath,
    before: Option<&Image>,
    stage: &TreePath,
    kept: &TreePath,
) -> Result<(), FinishError> {
    let exchanged = match tree.rename_new(stage, path) {
        Ok(()) => return Ok(()),
        Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => tree.exchange(stage, path),
        Err(failed) => Err(failed),
    };
    match exchanged {
        Ok(()) => {
            let out = there(tree, stage).map_err(error("read", stage))?;
            if before.is_some_and(|before| out == is(before)) {
                return Ok(());
            }
            tree.rename_new(stage, kept)
                .map_err(error("keep aside", stage))
        }
        Err(cannot) if cannot.kind() == io::ErrorKind::Unsupported => {
            let target = there(tree, path).map_err(error("read", path))?;
            if before.is_some_and(|before| target == is(before)) {
                return tree.replace(stage, path).map_err(error("replace", path));
            }
            tree.rename_new(path, kept)
                .map_err(error("keep aside", path))?;
            tree.rename_new(stage, path).map_err(error("put", path))
        }
        Err(failed) => Err(error("put", path)(failed)),
    }
}

/// Moves the target under its stage, where it stays until the sweep.
fn take_away(
    tree: &dyn Tree,
    path: &TreePath,
    before: &Image,
    stage: &TreePath,
    kept: &TreePath,
) -> Result<(), FinishError> {
    let mut grave = there(tree, stage).map_err(error("read", stage))?;
    if grave == There::Nothing {
        match tree.rename_new(path, stage) {
            Ok(()) => grave = there(tree, stage).map_err(error("read", stage))?,
            // Somebody else has removed it.
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(failed) => return Err(error("take away", path)(failed)),
        }
    }
    if grave == is(before) {
        return Ok(());
    }
    tree.rename_new(stage, kept)
        .map_err(error("keep aside", stage))
}

fn make_dir(tree: &dyn Tree, path: &TreePath, kept: &TreePath) -> Result<(), FinishError> {
    match look(tree, path).map_err(error("look at", path))? {
        Some(Found::Directory) => return Ok(()),
        Some(Found::File | Found::Other) => tree
            .rename_new(path, kept)
            .map_err(error("keep aside", path))?,
        None => {}
    }
    tree.make_dir(path)
        .map_err(error("make the directory", path))
}

fn remove_dir(tree: &dyn Tree, path: &TreePath) -> Result<(), FinishError> {
    match tree.remove_dir(path) {
        // Somebody works in it, or took it away, or put something else there: not ours.
        Err(stays)
            if matches!(
                stays.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::DirectoryNotEmpty
                    | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(())
        }
        removed => removed.map_err(error("remove the directory", path)),
    }
}

fn error(verb: &'static str, what: &(impl ToString + ?Sized)) -> impl Fn(io::Error) -> FinishError {
    let what = what.to_string();
    move |source| FinishError {
        verb,
        what: what.clone(),
        source,
    }
}
