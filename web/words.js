// The sentences of the page, made from data: the verdict, what can be believed, thresholds in words. Pure.
(function (S) {
  "use strict";

  const { count, time, moment, percent, percentLimit, roughPercent, escape, plural, missing, bytes, number, span, SPACE } = S.format;

  const STATES = { passed: "Passed", failed: "Failed", aborted: "Aborted", interrupted: "Interrupted", running: "Running", finished: "Finished" };

  /** What a peer or the network did, by error code: [while the run goes on, afterwards]. */
  const DEEDS = {
    ECONNREFUSED: ["refuses connections", "refused connections"],
    ETIMEDOUT: ["does not answer", "did not answer"],
    EREQTIMEOUT: ["does not answer", "did not answer"],
    ECONNRESET: ["resets connections", "reset connections"],
    EPIPE: ["closes connections early", "closed connections early"],
    EHOSTUNREACH: ["cannot be reached", "could not be reached"],
    ENETUNREACH: ["cannot be reached", "could not be reached"],
    ENOTFOUND: ["cannot be resolved", "could not be resolved"],
    ERR_SOCKET_CLOSED: ["closes connections", "closed connections"],
    ERR_WS_CLOSED: ["closes connections", "closed connections"],
    1050: ["does not answer", "did not answer"],
    1101: ["cannot be resolved", "could not be resolved"],
    1211: ["does not answer", "did not answer"],
    1212: ["refuses connections", "refused connections"],
    1220: ["resets connections", "reset connections"],
    1201: ["closes connections early", "closed connections early"],
  };
  /** Kinds of failures whose codes say what the target did. */
  const BY_TARGET = new Set(["socket", "http", "websocket"]);
  const FAILURES = new Set(["socket", "exception", "rejection", "engine", "setup", "teardown", "output", "http", "websocket"]);
  const NEVER_DONE = new Set(["dropped", "interrupted", "never_settled", "vu", "stopped"]);

  const code = (text) => `<code>${escape(text)}</code>`;
  const strong = (text) => `<b>${text}</b>`;

  /** A value of what a threshold measures, as text. */
  function thresholdValue(threshold, value, limit) {
    if (missing(value)) return S.format.NONE;
    if (threshold.method === "count" && threshold.type !== "rate" && threshold.contains !== "data") return count(value);
    if (threshold.type === "rate") return percent(value, limit);
    if (threshold.type === "counter" && threshold.method === "rate") return (threshold.contains === "data" ? bytes(value) : number(value)) + "/s";
    return S.format.value(value, threshold.contains);
  }

  const SIGNS = { "<": "under", "<=": "at most", ">": "over", ">=": "at least", "==": "exactly", "===": "exactly", "!=": "not" };

  function limitText(threshold, withSign = true) {
    const isTime = threshold.contains === "time" && threshold.method !== "count";
    const value = threshold.type === "rate" ? percentLimit(threshold.limit) : isTime ? S.format.axisTime(threshold.limit) : thresholdValue(threshold, threshold.limit);
    return withSign ? `${SIGNS[threshold.operator] || escape(threshold.operator)} ${value}` : value;
  }

  /** The share of its limit that a threshold used; null where there is none. */
  function shareUsed({ operator, limit, value, type, ok }) {
    if (missing(value) || !"<>".includes(operator[0])) return null;
    if (operator[0] === "<") return limit > 0 ? Math.max(value / limit, 0) : ok ? 0 : Infinity;
    if (type === "rate") return limit < 1 ? (1 - value) / (1 - limit) : value >= 1 ? 0 : Infinity;
    if (limit <= 0) return ok ? 0 : Infinity;
    return value > 0 ? limit / value : Infinity;
  }

  const withData = (model) => model.thresholds.filter((threshold) => threshold.has_data);
  const crossed = (model) => withData(model).filter((threshold) => !threshold.ok).sort((a, b) => (shareUsed(b) ?? 0) - (shareUsed(a) ?? 0));
  const silent = (model) => model.thresholds.filter((threshold) => !threshold.has_data);

  /** Thresholds in the order of the page: crossed, then by the share of the limit they used; those without data before the held. */
  function sortedThresholds(model) {
    const rank = (t) => (t.has_data && !t.ok ? 0 : t.has_data ? 2 : 1);
    return [...model.thresholds].sort((a, b) => rank(a) - rank(b));
  }

  /** The words beside the verdict: {text, isBad, hasDoubt}. */
  function beside(model) {
    const all = model.thresholds.length;
    const bad = crossed(model).length;
    const none = silent(model).length;
    if (!all) return { text: model.isLive ? "no thresholds were set" : "no thresholds were set, so nothing decides whether it passed" };
    const doubt = none ? `, ${none === 1 ? "1 saw" : none + " saw"} no data` : "";
    const thresholds = all === 1 ? "threshold" : "thresholds";
    if (model.isLive && bad) return { text: `${bad} of ${all} ${thresholds} ${bad === 1 ? "is" : "are"} crossed`, isBad: true };
    if (model.isLive && none === all) return { text: `${all} ${thresholds}, none has seen data yet` };
    const held = all - bad - none;
    const word = model.isLive ? "hold" : "held";
    if (held === all) return { text: all === 1 ? `its threshold ${model.isLive ? "holds" : "held"}` : `all ${all} thresholds ${word}` };
    return { text: `${held} of ${all} ${thresholds} ${word}${doubt}`, hasDoubt: none > 0 && !model.isLive };
  }

  const NAMES = { requests: "requests", failed: "failed" };

  /** The crossed threshold in one clause: what was measured, and the limit. */
  function crossedWords(model, threshold) {
    const value = thresholdValue(threshold, threshold.value, threshold.limit);
    const limit = limitText(threshold, !threshold.operator.startsWith("<"));
    const tags = /\{.*\}/.exec(threshold.metric);
    const name = threshold.metric.replace(/\{.*\}/, "");
    const of = tags ? ` with ${code(tags[0].slice(1, -1))}` : "";
    const has = model.isLive ? "have failed so far" : "failed";
    const limitIs = `; the limit is ${limit}.`;
    if (threshold.type === "rate" && /_req_failed$/.test(name)) return strong(`${value} of ${NAMES.requests} ${has}`) + of + limitIs;
    if (name === "checks" && threshold.type === "rate") return strong(`${value} of checks ${model.isLive ? "have passed" : "passed"}`) + of + limitIs;
    if (name === "dropped_iterations") return strong(`${value} iterations ${model.isLive ? "have been" : "were"} dropped`) + of + limitIs;
    const method = threshold.type === "trend" ? `${methodName(threshold.method)} of ` : threshold.type === "counter" && threshold.method === "rate" ? "Rate of " : "";
    const be = model.isLive ? "is" : "was";
    return `<b>${method}${code(threshold.metric)} ${be} ${value}</b>${limitIs}`;
  }

  function methodName(method) {
    const p = /^p\((.*)\)$/.exec(method);
    if (p) return "The p" + p[1];
    return { med: "The median", avg: "The mean", min: "The least", max: "The most", count: "The count" }[method] || escape(method);
  }

  /** Codes of failures as what the target did: "refused connections or did not answer". */
  function deeds(model) {
    const tense = model.isLive ? 0 : 1;
    const errors = (model.doc.errors || []).filter((error) => BY_TARGET.has(error.kind));
    const all = S.model.sum(errors.map((error) => error.count));
    const words = errors.filter((error) => error.count >= all * 0.05).map((error) => (DEEDS[error.code] || [])[tense]).filter(Boolean);
    return [...new Set(words)].slice(0, 3);
  }

  const either = (words) => (words.length > 1 ? words.slice(0, -1).join(", ") + " or " + words[words.length - 1] : words[0]);

  /** When the failures happened, and which target did what. */
  function whenWords(model) {
    const worst = model.worstSpan();
    const what = deeds(model);
    const target = model.run.target ? escape(model.run.target) : "the target";
    const codes = (model.doc.errors || []).filter((error) => BY_TARGET.has(error.kind) && error.code).slice(0, 2).map((error) => code(error.code));
    if (model.isLive) {
      const [span] = model.failing.slice(-1);
      if (!span) return "";
      return what.length ? ` Failures began at ${moment(span[0])}: ${target} ${either(what)}.` : ` Failures began at ${moment(span[0])}.`;
    }
    if (!worst) return what.length ? ` ${cap(target)} ${either(what)}.` : codes.length ? ` The codes: ${codes.join(", ")}.` : "";
    const failures = worst.all === 1 ? "The only failure falls" : `${percent(worst.share)} of the ${count(worst.all)} failures fall`;
    const when = ` ${failures} between ${moment(worst.from)} and ${moment(worst.to)}`;
    if (what.length) return `${when}, when ${target} ${either(what)}.`;
    return codes.length ? `${when}; most with ${codes.join(" or ")}.` : `${when}.`;
  }

  const cap = (text) => text[0].toUpperCase() + text.slice(1);

  /** How many requests failed, also when none did. */
  function failedWords(model) {
    const metric = model.metric(model.protocol && model.protocol.failed);
    if (!metric || !metric.rate) return iterationWords(model);
    const { passes, fails } = metric.rate;
    const all = passes + fails;
    const has = model.isLive ? "has failed" : "failed";
    if (!all) return iterationWords(model);
    if (!passes) return `None of ${count(all)} requests ${has}.`;
    return `${count(passes)} of ${count(all)} requests failed, ${percent(passes / all)}.`;
  }

  function iterationWords(model) {
    const iterations = model.metric("iterations");
    if (!iterations || !iterations.counter || !iterations.counter.count) return model.isLive ? "" : "No iteration was completed.";
    return `${plural(iterations.counter.count, "iteration")} ${model.isLive ? "so far" : "completed"}; no requests were measured.`;
  }

  /** The sentence of the verdict, as markup. */
  function sentence(model) {
    const { run } = model;
    if (run.error) {
      const { message, place, count: times } = run.error;
      const often = times > 1 ? `, ${count(times)} times` : "";
      const text = `<b><bdi>${escape(message)}</bdi></b>${place ? ` at ${code(place)}` : ""}${often}.`;
      const [worst] = crossed(model);
      if (worst) return `${text} ${crossedWords(model, worst)}`;
      if (["aborted", "interrupted", "failed"].includes(run.state)) return text;
      return `${text} ${model.thresholds.length ? heldWords(model) : failedWords(model)}`;
    }
    if (["aborted", "interrupted"].includes(run.state)) {
      const reason = run.reason || (run.state === "interrupted" ? "a signal ended the run" : "the test was aborted");
      return `<b>${escape(cap(reason))}</b> at ${moment(model.length)}. ${failedWords(model)}`;
    }
    if (model.isLive && (!model.n || run.phase === "setup")) return phaseWords(model);
    const [worst] = crossed(model);
    if (worst) return crossedWords(model, worst) + whenWords(model);
    if (run.state === "failed") return `<b>${escape(cap(run.reason || "the run failed"))}</b>. ${failedWords(model)}`;
    if (!model.thresholds.length) return failedWords(model) + (model.worstSpan() ? whenWords(model) : "");
    return heldWords(model) + " " + failedWords(model);
  }

  function phaseWords(model) {
    const { phase } = model.run;
    if (phase === "setup" || phase === "teardown") return `${code(phase + "()")} has run for ${span(Math.floor(model.length))}.`;
    return "The test is about to begin.";
  }

  function heldWords(model) {
    const none = silent(model).length;
    const shares = withData(model).map((t) => [t, shareUsed(t)]).filter(([, share]) => share !== null).sort((a, b) => b[1] - a[1]);
    const first = none ? (none === model.thresholds.length ? "<b>No threshold saw data</b>, so nothing was judged." : `<b>${plural(none, "threshold")} saw no data</b>; the others held.`) : "";
    if (!shares.length) return first || "Every threshold held.";
    const [closest, share] = shares[0];
    const verb = model.isLive ? "uses" : "used";
    if (first) return `${first} The closest, ${code(closest.metric)}, ${verb} ${roughPercent(share)} of its limit.`;
    const every = model.thresholds.length === 1 ? "Its threshold" : `Every threshold ${model.isLive ? "holds" : "held"}; the closest`;
    if (model.thresholds.length === 1) return `${every}, ${code(closest.metric)}, ${model.isLive ? "holds" : "held"}: it ${verb} ${roughPercent(share)} of its limit.`;
    return `${every}, ${code(closest.metric)}, ${verb} ${roughPercent(share)} of its limit.`;
  }

  /** The evidence for the generator: how busy its workers were, how late iterations began. */
  function evidence(model) {
    const busy = model.metric("senary_worker_busy");
    const late = model.metric("senary_start_lag");
    const parts = [];
    if (busy && busy.trend && busy.trend.count) {
      const isCalm = busy.trend.max < 90;
      parts.push(`its workers were busy for ${isCalm ? "at most " : ""}${roughPercent((isCalm ? busy.trend.max : busy.trend.p50) / 100)} of ${isCalm ? "any" : "a typical"} second`);
    }
    if (model.isOpenLoop && late && late.trend && late.trend.count) parts.push(`the latest iteration began ${time(late.trend.max)} after its plan`);
    return parts.length ? cap(parts.join(", and ")) + "." : "";
  }

  const KEPT = {
    ok: ["ok", "Yes, the generator kept up."],
    partly: ["warn", "Only in part."],
    limit: ["warn", "No, the generator was the limit."],
    unknown: ["none", "Not judged."],
  };

  /** One to three findings: [icon, short answer, evidence], all as markup. */
  function findings(model) {
    const { generator } = model;
    const [icon, answer] = KEPT[generator.verdict] || KEPT.unknown;
    const found = [];
    if (generator.verdict === "unknown") {
      found.push([icon, model.isLive ? "Not judged yet." : answer, "It takes three seconds of evidence to say whether the generator kept up. " + evidence(model)]);
    } else if (generator.findings.length) {
      for (const [i, finding] of generator.findings.slice(0, 2).entries()) {
        const text = escape(cap(finding.text)) + ". " + (finding.advice ? `To mend it, ${escape(finding.advice)}.` : "");
        found.push(i === 0 ? [icon, answer, text] : ["warn", "Besides:", text]);
      }
    } else found.push([icon, answer, evidence(model)]);
    found.push(missingWords(model));
    return found;
  }

  /** What is missing from the figures. */
  function missingWords(model) {
    const { doc } = model;
    const instances = doc.instances || [];
    const lost = instances.filter((instance) => instance.state === "lost");
    const never = instances.filter((instance) => instance.state === "silent");
    const gaps = [];
    if (lost.length) gaps.push(lost.length === 1 ? `Instance ${escape(lost[0].name)} was lost at ${moment(lost[0].lost)}; what came after is missing.` : `${lost.length} instances were lost: ${lost.map((i) => `${escape(i.name)} at ${moment(i.lost)}`).join(", ")}.`);
    if (never.length) gaps.push(`${plural(never.length, "instance")} never reported: ${never.map((i) => escape(i.segment || i.name)).join(", ")}.`);
    gaps.push(...(model.generator.lost || []).map((text) => escape(cap(text)).replace(/\.?$/, ".")));
    if (doc.timeline.capped) gaps.push(`${plural(doc.timeline.capped, "time series", "time series")} beyond the first ${count(doc.timeline.limit)} ${doc.timeline.capped === 1 ? "is" : "are"} not in the charts; totals hold them.`);
    if (gaps.length) return ["warn", gaps.length === 1 ? "One gap." : `${gaps.length} gaps.`, gaps.join(" ")];
    const dropped = model.metric("dropped_iterations");
    const some = dropped && dropped.counter && dropped.counter.count;
    if (model.isLive) return instances.length > 1 ? ["ok", `All ${instances.length} instances report.`, ""] : ["ok", "Nothing is missing.", "Every sample so far was counted."];
    if (some) return ["ok", "No sample is missing.", `But ${plural(some, "planned iteration")} never started; Errors says why.`];
    return ["ok", "Nothing is missing.", (model.isOpenLoop ? "Every planned iteration ran, and every" : "Every") + " sample was counted."];
  }

  /** Whether a threshold was judged once, at the end, as those of states are: how it stood before that is not known. */
  function isJudgedAtEnd(model, { changes }) {
    return !model.isLive && changes.length === 1 && changes[0][0] >= model.length - 0.01;
  }

  /** Since when a threshold is in its state. */
  function since(model, threshold) {
    const { changes } = threshold;
    if (!threshold.has_data) return "no samples";
    const last = changes[changes.length - 1];
    if (isJudgedAtEnd(model, threshold)) return "judged at the end";
    if (!last || (changes.length === 1 && threshold.ok)) return threshold.ok ? "throughout" : "from the start";
    return `since ${moment(last[0])}`;
  }

  function title(model) {
    const state = STATES[model.run.state] || "Finished";
    return `${state}: ${model.run.script || "Senary"}`;
  }

  S.words = {
    STATES, FAILURES, NEVER_DONE, beside, crossed, silent, sentence, findings, limitText, thresholdValue, shareUsed, sortedThresholds, since, isJudgedAtEnd, title,
    phaseWords, cap, SPACE,
  };
})((globalThis.Senary ??= {}));
