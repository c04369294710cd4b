//! The run folder: everything that a run leaves, readable by people and read back by later commands.
//!
//! [`RunWriter`] makes a folder and writes to it; [`RunFolder`] reads one. A run is its journal: the report is a fold
//! over [`JournalEvent`]s ([`ReportBuilder`]), so that a run that was killed has a report too. Function sets are
//! folders of readable files ([`StoredSet`]); what is read back is a draft again, and admission must let it in.
//!
//! Stored forms have types of their own here (`records`), with conversions by hand (`convert`): a change of a core type does not
//! change a file by accident. The forms and their numbers are described in `README.md` beside this crate's manifest.
//!
//! No file holds a secret. What is replaced is replaced whole; what is appended is whole lines.

mod compare;
mod convert;
mod credit;
mod embedding;
mod error;
mod evaluation;
mod files;
mod function_set;
mod journal;
mod manifest;
mod noise;
mod process;
mod records;
mod report;
mod report_text;
mod run_folder;
mod seal;
mod spend_report;
mod tape;
mod writer;

pub(crate) use files::replace;

pub use compare::{ArmReport, COMPARE_FORMAT, CompareReport};
pub use credit::{CREDIT_FORMAT, CreditReport, FunctionCredit};
pub use error::StoreError;
pub use evaluation::{EVAL_FORMAT, EvalReport, TaskReport};
pub use function_set::{StoredSet, load_set};
pub use journal::{JOURNAL_FORMAT, Journal, JournalEvent, JournalReader, OpenedRecord, Reopening};
pub use manifest::{ForkRecord, MANIFEST_FORMAT, Manifest, ManifestSetting, ManifestTaskFile, RunKind};
pub(crate) use manifest::{id_of_text, language_of, lock_of};
pub use noise::{NOISE_FORMAT, NoiseReport, NoiseTask, SmallestEffect};
pub use process::{PROCESS_FORMAT, ProcessRecord, SignalError};
pub use records::{
    CallRecord, CallRequestRecord, ComparisonRecord, ConversationRecordLine, DecisionKind, DecisionRecord,
    DescriptionRecord, EmbeddingPayment, EmbeddingRecord, EvaluationRecord, GivenBackRecord, InstructionsRecord,
    KeptOutcomeRecord, MessageRecord, MissingRecord, OutcomeRecord, ParameterRecord, ProposalRecord, ReplyRecord,
    SentRecord, SittingEndRecord, SittingRecord, StepRecord, StopRecord, UsageRecord, VerdictRecord,
};
pub use report::{EpochReport, FunctionReport, REPORT_FORMAT, Report, ReportBuilder, ShareReport, TestReport};
pub(crate) use run_folder::PaidReply;
pub use run_folder::{RunFolder, RunSummary};
pub(crate) use seal::{break_seal, looks, seal_text};
pub use spend_report::{EpochSpend, SpendReport};
pub use writer::RunWriter;
