//! How the owner's changes are recorded before they are made.

use protocol::Code;
use store::Transaction;
use tokio::sync::oneshot;

use super::Office;
use crate::administration::Error;
use crate::audit::{Action, Actor, Entry};
use crate::registry;

impl Office {
    /// Makes a change once it is recorded: `work` changes and says what, its record is synchronised, and then the change
    /// is committed. What `work` refuses is not recorded; what cannot be recorded is not changed.
    pub(super) async fn act<T, W>(&self, actor: &Actor, action: Action, work: W) -> Result<T, Error>
    where
        T: Send + 'static,
        W: FnOnce(&Transaction<'_>, Entry) -> Result<(T, Entry), registry::Error> + Send + 'static,
    {
        let entry = Entry::new(self.site.clock.now(), actor.clone(), action);
        let audit = self.site.audit.clone();
        let (tell, told) = oneshot::channel();
        let done = self.write(move |transaction| {
            let (value, entry) = work(transaction, entry)?;
            audit.permit_blocking(entry.clone())?;
            // Whoever asked may have gone.
            drop(tell.send(entry));
            Ok(value)
        });
        let done = done.await;
        if done.is_err()
            && let Ok(entry) = told.await
        {
            // It was recorded, and then the database could not keep it.
            self.site.audit.account(entry.result(Code::NodeInternal)).await;
        }
        done
    }
}
