//! What the flags of a command line say as a layer of options.

use std::collections::BTreeMap;

use senary_execution::{Segment, SegmentSequence};
use senary_net::{Cidr, HostPattern};
use senary_net::{ConfigError, LocalIps};
use senary_output::{TimeUnit, TrendStat};

use super::{ArchiveArgs, OptionFlags, RunArgs, RunFlags};
use crate::options::{
    CommandLine, DnsOption, Features, OptionValue, Options, OptionsError, Outputs, Remarks, RunOptions,
    StageOption, SystemTagSet, parse_stages, split_csv, split_list,
};

impl RunArgs {
    /// What the flags say of the test and of the run.
    pub fn layer(&self) -> Result<CommandLine, OptionsError> {
        let options = self.options.to_options()?;
        Ok(CommandLine { options, run: self.config.to_options() })
    }
}

impl ArchiveArgs {
    /// What the flags say of the test; how it runs is not archived.
    pub fn layer(&self) -> Result<CommandLine, OptionsError> {
        let options = self.options.to_options()?;
        Ok(CommandLine { options, run: RunOptions::default() })
    }
}

impl RunFlags {
    fn to_options(&self) -> RunOptions {
        let features = self.features.iter().flat_map(|list| split_list(list));
        RunOptions {
            out: (!self.out.is_empty()).then(|| Outputs(self.out.clone())),
            linger: self.linger,
            no_usage_report: self.no_usage_report,
            features: (!self.features.is_empty()).then(|| Features(features.collect())),
            fail_on_saturation: self.fail_on_saturation,
            vu_memory_limit: self.vu_memory_limit,
            web_dashboard: self.dashboard,
            instance_index: self.instance_index,
            instance_count: self.instance_count,
        }
    }
}

/// The values of a flag that takes lists. One that was given may be empty, and then wins over others.
fn list(values: &[String]) -> Option<Vec<String>> {
    (!values.is_empty()).then(|| split_csv(values))
}

fn flag(error: impl ToString) -> OptionsError {
    OptionsError::Flag(error.to_string())
}

fn parse<T: OptionValue>(text: &Option<String>) -> Result<Option<T>, OptionsError> {
    let parsed = text.as_deref().map(|text| T::parse(text, &mut Remarks::default()));
    Ok(parsed.transpose().map_err(flag)?.flatten())
}

impl OptionFlags {
    fn to_options(&self) -> Result<Options, OptionsError> {
        let Self { execution, network, results, http, .. } = self;
        let stages = self.stages()?;
        self.check()?;
        Ok(Options {
            vus: self.vus,
            duration: self.duration,
            iterations: self.iterations,
            stages,
            execution_segment: parse::<Segment>(&execution.execution_segment)?,
            execution_segment_sequence: parse::<SegmentSequence>(&execution.execution_segment_sequence)?,
            paused: self.paused,
            no_setup: self.no_setup,
            no_teardown: self.no_teardown,
            insecure_skip_tls_verify: network.insecure_skip_tls_verify,
            min_iteration_duration: execution.min_iteration_duration,
            throw: self.throw,
            strict: self.strict,
            blacklist_ips: list(&network.blacklist_ip),
            block_hostnames: list(&network.block_hostnames),
            summary_trend_stats: list(&results.summary_trend_stats),
            summary_time_unit: results.summary_time_unit.clone(),
            system_tags: list(&results.system_tags).as_deref().map(SystemTagSet::of),
            tags: self.tags()?,
            console_output: results.console_output.clone(),
            local_ips: network.local_ips.clone().filter(|ips| !ips.is_empty()),
            dns: network.dns.as_deref().map(DnsOption::parse_list).transpose().map_err(flag)?,
            max_redirects: http.max_redirects,
            batch: http.batch,
            batch_per_host: http.batch_per_host,
            rps: http.rps,
            user_agent: http.user_agent.clone(),
            http_debug: http.http_debug.clone(),
            no_connection_reuse: http.no_connection_reuse,
            no_vu_connection_reuse: http.no_vu_connection_reuse,
            discard_response_bodies: http.discard_response_bodies,
            ..Options::default()
        })
    }
    fn stages(&self) -> Result<Option<Vec<StageOption>>, OptionsError> {
        let stages = list(&self.stage).map(|texts| parse_stages(&texts)).transpose().map_err(flag)?;
        match stages.iter().flatten().position(|stage| stage.duration.is_none()) {
            Some(at) => Err(flag(format!("stage {at} doesn't have a specified duration"))),
            None => Ok(stages),
        }
    }

    fn tags(&self) -> Result<Option<BTreeMap<String, String>>, OptionsError> {
        let tags = self.tag.iter().map(|tag| parse_tag(tag)).collect::<Result<BTreeMap<_, _>, _>>()?;
        Ok(Some(tags).filter(|tags| !tags.is_empty()))
    }

    /// Refuses values that the plan of a test would refuse, too, but not as those of flags.
    fn check(&self) -> Result<(), OptionsError> {
        let Self { network, results, .. } = self;
        for range in list(&network.blacklist_ip).iter().flatten() {
            let text = format!("error parsing blacklist-ip '{range}': invalid CIDR address: {range}");
            Cidr::parse(range).map_err(|_| flag(text))?;
        }
        for pattern in list(&network.block_hostnames).iter().flatten() {
            if HostPattern::parse(pattern).is_none() {
                return Err(flag(ConfigError::HostnamePattern(pattern.clone())));
            }
        }
        for stat in list(&results.summary_trend_stats).iter().flatten() {
            TrendStat::parse(stat).map_err(flag)?;
        }
        results.summary_time_unit.as_deref().map(TimeUnit::parse).transpose().map_err(flag)?;
        let local_ips = network.local_ips.as_deref().filter(|ips| !ips.is_empty());
        local_ips.map(LocalIps::parse).transpose().map_err(flag)?;
        Ok(())
    }
}

/// `name=value`, both of them there.
fn parse_tag(text: &str) -> Result<(String, String), OptionsError> {
    let missing = match text.split_once('=').unwrap_or((text, "")) {
        ("", "") if text.is_empty() => "string",
        ("", _) => "name",
        (_, "") => "value",
        (name, value) => return Ok((name.to_owned(), value.to_owned())),
    };
    Err(flag(format!(
        "error parsing tag '{text}': invalid tag, empty {missing}; tags are written name=value"
    )))
}
