//! Which drivers a builder could use here. A machine without any can still run jobs.

use std::path::Path;

use strum::IntoEnumIterator;
use tokio::runtime::Runtime;
use trackyard_builder::driver::{self, DriverKind, Tools};

use super::{Check, Finding};

pub(super) fn checks(tools: Option<&Path>) -> Vec<Check> {
    let tools = Tools { dir: tools.map(Path::to_owned), ..Tools::default() };
    let Ok(runtime) = Runtime::new() else { return Vec::new() };
    DriverKind::iter().map(|kind| (name(kind), runtime.block_on(probe(kind, &tools)))).collect()
}

async fn probe(kind: DriverKind, tools: &Tools) -> Finding {
    match driver::open(kind, tools, Path::new("/nonexistent")).probe().await {
        Ok(version) => Finding::Good(version),
        Err(unusable) => Finding::Poor(format!("builders cannot use it: {unusable}")),
    }
}

const fn name(kind: DriverKind) -> &'static str {
    match kind {
        DriverKind::Img => "driver img",
        DriverKind::Buildkit => "driver buildkit",
        DriverKind::Buildah => "driver buildah",
    }
}
