//! Metrics in OpenMetrics text. Every metric is registered once, at start; labels come from closed sets only.

use std::fmt;
use std::sync::Arc;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::info::Info;
pub use prometheus_client::registry::Registry;

/// The media type of [`Metrics::text`].
pub const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of a process.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Registry>);

impl Metrics {
    /// No metric but the binary's version may be added later: whoever has one takes the registry first.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self(Arc::new(registry))
    }

    /// A registry whose metrics all start with `trackyard_`, with the binary's version in it.
    #[must_use]
    pub fn registry(component: &'static str, version: &'static str) -> Registry {
        let mut registry = Registry::with_prefix("trackyard");
        let build = Info::new([("component", component), ("version", version)]);
        registry.register("build", "What this process is", build);
        registry
    }

    /// The metrics as they stand.
    ///
    /// # Errors
    /// If a metric cannot be written.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_is_told() {
        let text = Metrics::new(Metrics::registry("router", "1.2.3")).text().unwrap();
        assert!(text.contains(r#"trackyard_build_info{component="router",version="1.2.3"} 1"#), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
