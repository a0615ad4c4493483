//! Metrics in OpenMetrics text. Every metric is registered once, at start. Labels come from closed sets only.

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
    /// Returns the metrics of `registry`. No metric can be added afterwards.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        Self(Arc::new(registry))
    }

    /// Returns a registry whose metrics all start with `trackyard_`, and which has the metric `build_info`.
    #[must_use]
    pub fn registry(component: &'static str, version: &'static str) -> Registry {
        let mut registry = Registry::with_prefix("trackyard");
        let build = Info::new([("component", component), ("version", version)]);
        registry.register("build", "What this process is", build);
        registry
    }

    /// Returns the metrics as text.
    ///
    /// # Errors
    /// If a metric cannot be written.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.0)?;
        Ok(text)
    }

    /// Returns the names under which the metrics that have a value are queried, without `trackyard_build_info`, which all
    /// programs have. The name of a histogram stands for those with the suffixes `_bucket`, `_sum` and `_count`.
    ///
    /// # Errors
    /// If a metric cannot be written.
    pub fn names(&self) -> Result<Vec<String>, fmt::Error> {
        let text = self.text()?;
        let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
        let name = |(name, kind): (&str, &str)| match kind {
            "info" => None,
            "counter" => Some(format!("{name}_total")),
            _ => Some(name.to_owned()),
        };
        Ok(types.filter_map(name).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::registry::Unit;

    #[test]
    fn build_info_is_exported() {
        let text = Metrics::new(Metrics::registry("router", "1.2.3")).text().unwrap();
        assert!(text.contains(r#"trackyard_build_info{component="router",version="1.2.3"} 1"#), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn names_are_query_names() {
        let mut registry = Metrics::registry("router", "1.2.3");
        registry.register("jobs", "Jobs", Counter::<u64>::default());
        registry.register("slots", "Slots", Gauge::<i64>::default());
        let seconds = Histogram::new([1.0]);
        registry.register_with_unit("job", "How long", Unit::Seconds, seconds);
        let names = Metrics::new(registry).names().unwrap();
        assert_eq!(names, ["trackyard_jobs_total", "trackyard_slots", "trackyard_job_seconds"]);
    }
}
