"""Documents of runs that never were, for pictures and tests of the page: `python3 web/made_up.py failed > failed.json`.

The format is that of the report's data. Figures are drawn at random from a fixed seed.
"""

import json
import math
import random
import sys

LOWEST, PER_OCTAVE = -20, 32
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999}
DRAWN = 70  # values drawn per interval and metric, each of which stands for several samples


def short(value):
    return None if value is None else float(f"{value:.6g}")


def bucket(value):
    if value <= 2.0**LOWEST:
        return 0
    octave = math.floor(math.log2(value))
    return int((octave - LOWEST) * PER_OCTAVE + (value / 2**octave - 1) * PER_OCTAVE)


def quantile(values, p):
    rank = p * (len(values) - 1)
    low = math.floor(rank)
    return values[low] + (values[min(low + 1, len(values) - 1)] - values[low]) * (rank - low)


class Run:
    """A run of `seconds` with requests of two scenarios; failing for a tenth of it, if it is to fail."""

    def __init__(self, name, seconds=310, step=1, fails=True, instances=1, live_until=None, graceful=10):
        self.name, self.step, self.fails, self.instances = name, step, fails, instances
        self.seconds = seconds
        self.planned = max(seconds - graceful, step)
        self.until = live_until or seconds
        self.n = int(self.until / step)
        self.is_live = live_until is not None
        self.random = random.Random(6)
        self.series, self.metrics = [], []
        self.fail_from, self.fail_to = seconds * 0.613, seconds * 0.71

    # What happened

    def failing(self, t):
        return self.fails and self.fail_from <= t < self.fail_to

    def rate(self, t):
        """Iterations per second: 500 from the first second on, and 50 more that ramp up."""
        if t >= self.planned:
            return 4.0
        ramp = self.planned / 5
        base = 500 + 50 * min(1, t / ramp)
        if self.instances > 1 and t > self.seconds * 0.94:
            base *= 0.75
        return base * (self.random.uniform(0.8, 0.94) if self.failing(t) else self.random.uniform(0.995, 1.005))

    def order(self, t):
        value = self.random.lognormvariate(math.log(2.1), 0.28)
        if self.random.random() < 0.002:
            value *= self.random.uniform(6, 30)
        return value * self.random.choice([1, 3, 3, 30, 90, 260]) if self.failing(t) else value

    def login(self, t):
        value = self.random.lognormvariate(math.log(7.4), 0.2)
        return value * self.random.choice([1, 2, 2, 20, 50]) if self.failing(t) else value

    # Metrics and their series

    def add(self, metric, kind, contains, tags, columns, totals, custom=False, own=False, part=None, hist=None):
        scope = ",".join(f"{tag}={value}" for tag, value in (tags or {}).items())
        series = {"id": metric + (f"{{{scope}}}" if tags else ""), "metric": metric, "type": kind, "contains": contains, "custom": custom, "own": own, "scope": tags, kind: columns}
        if hist is not None:
            series["hist"] = {"every": 1, "data": hist}
        self.series.append(series)
        name = metric + ("{" + ",".join(f"{tag}:{value}" for tag, value in tags.items()) + "}" if tags else "")
        self.metrics.append({"name": name, "type": kind, "contains": contains, "custom": custom, "own": own, "parent": metric if tags else None, "kind": part, "tags": tags, "exact": True, kind: totals})

    def counter(self, metric, values, contains="default", tags=None, **more):
        total = sum(values)
        self.add(metric, "counter", contains, tags, {"sum": values}, {"count": total, "rate": short(total / max(self.until, 1))}, **more)

    def share(self, metric, passes, totals, tags=None, **more):
        good, all_ = sum(passes), sum(totals)
        self.add(metric, "rate", "default", tags, {"passes": passes, "total": totals}, {"passes": good, "fails": all_ - good, "rate": short(good / max(all_, 1))}, **more)

    def gauge(self, metric, values, contains="default", tags=None, **more):
        self.add(metric, "gauge", contains, tags, {"last": values, "min": values, "max": values}, {"last": values[-1] if values else 0, "min": min(values, default=0), "max": max(values, default=0)}, **more)

    def trend(self, metric, draw, counts, contains="time", tags=None, hist=False, **more):
        columns = {key: [] for key in ["count", "sum", "min", "max", *QUANTILES]}
        buckets, everything, weights = [], [], 0
        for i, count in enumerate(counts):
            drawn = min(count, DRAWN)
            values = sorted(draw(i * self.step) for _ in range(drawn))
            columns["count"].append(count)
            if not drawn:
                for key in ["sum", "min", "max", *QUANTILES]:
                    columns[key].append(None)
                buckets.append(None)
                continue
            columns["sum"].append(short(sum(values) * count / drawn))
            columns["min"].append(short(values[0]))
            columns["max"].append(short(values[-1]))
            for key, p in QUANTILES.items():
                columns[key].append(short(quantile(values, p)))
            found = {}
            for j, value in enumerate(values):
                share = (j + 1) * count // drawn - j * count // drawn
                found[bucket(value)] = found.get(bucket(value), 0) + share
            buckets.append([x for pair in sorted(found.items()) for x in pair])
            everything += values
            weights += count
        everything.sort()
        if everything:
            totals = {"min": everything[0], "avg": sum(everything) / len(everything), "max": everything[-1], "count": weights, "sum": sum(columns["sum"][i] or 0 for i in range(len(counts))), "p9999": quantile(everything, 0.9999)}
            totals |= {key: quantile(everything, p) for key, p in QUANTILES.items()}
            totals = {key: value if key == "count" else short(value) for key, value in totals.items()}
            if contains == "time":
                totals["curve"] = [[short(100 * (1 - 10 ** (-i / 20))), short(quantile(everything, 1 - 10 ** (-i / 20)))] for i in range(3, 81) if weights * 10 ** (-i / 20) >= 10]
        else:
            totals = {key: None for key in ["min", "avg", "max", "sum", "p9999", *QUANTILES]} | {"count": 0}
        self.add(metric, "trend", contains, tags, columns, totals, hist=buckets if hist else None, **more)

    def document(self):
        n, step, rnd = self.n, self.step, self.random
        at = [i * step for i in range(n)]
        iterations = [int(self.rate(t) * step) for t in at]
        logins = [min(int(50 * step * min(1, t / (self.planned / 5))), total) for t, total in zip(at, iterations)]
        orders = [total - part for total, part in zip(iterations, logins)]
        requests = [order + 2 * login for order, login in zip(orders, logins)]
        failed = [int(r * rnd.uniform(0.1, 0.4)) if self.failing(t) else int(self.fails and rnd.random() < 0.04) for t, r in zip(at, requests)]
        dropped = [int(rnd.uniform(20, 90) * step) if self.failing(t) else 0 for t in at]
        opened = [int((22 if not self.failing(t) else rnd.uniform(60, 230)) * step) if t < self.planned else 0 for t in at]
        scenarios = (("orders", orders, self.order), ("logins", logins, self.login))

        self.counter("iterations", iterations)
        self.counter("dropped_iterations", dropped)
        self.counter("tcp_reqs", requests)
        for name, of, _ in scenarios:
            self.counter("iterations", of, tags={"scenario": name}, part="scenario")
            self.counter("tcp_reqs", of, tags={"scenario": name}, part="scenario")
        self.share("tcp_req_failed", failed, requests)
        both = lambda t: self.login(t) if rnd.random() < 0.15 else self.order(t)
        good = [r - f for r, f in zip(requests, failed)]
        self.trend("tcp_req_duration", both, good, hist=True)
        for name, of, draw in scenarios:
            self.trend("tcp_req_duration", draw, of, tags={"scenario": name}, hist=True, part="submetric")
        self.trend("tcp_req_waiting", lambda t: both(t) * (0.4 if self.failing(t) else 0.96), good, hist=True)
        self.trend("tcp_req_blocked", lambda t: rnd.lognormvariate(-3.1, 0.2) * (40 if self.failing(t) and rnd.random() < 0.5 else 1), good)
        for metric, middle in (("tcp_socket_resolving", 0.02), ("tcp_socket_connecting", 0.34), ("tcp_tls_handshaking", 1.31)):
            self.trend(metric, lambda t, middle=middle: rnd.lognormvariate(math.log(middle), 0.5), opened)
        self.trend("iteration_duration", lambda t: both(t) + 0.2, iterations, hist=True)
        self.counter("tcp_sockets", opened)
        self.counter("tcp_errors", failed)
        codes = (("ECONNREFUSED", 0.7), ("ETIMEDOUT", 0.26), ("ECONNRESET", 0.04))
        for code, part in codes if self.fails else ():
            self.counter("tcp_errors", [int(f * part + 0.5) for f in failed], tags={"error_code": code}, part="tag")
        self.counter("data_sent", [r * 410 for r in requests], "data")
        self.counter("data_received", [r * 1380 for r in requests], "data")
        checks = (("::order", "reply arrived", failed, requests), ("::order", "status is accepted", [f // 30 for f in failed], requests), ("::order", "total matches the lines", [0] * n, requests), ("::login", "greeting is 220", [0] * n, logins), ("::login", "session token present", [f // 40 for f in failed], logins))
        self.share("checks", [sum(c[3][i] - c[2][i] for c in checks) for i in range(n)], [sum(c[3][i] for c in checks) for i in range(n)])
        for _, name, bad, all_ in checks:
            self.share("checks", [a - b for a, b in zip(all_, bad)], list(all_), tags={"check": name}, part="tag")
        vus = {"orders": [min(120, 14 + int(60 * (t - self.fail_from))) if self.failing(t) else 14 + rnd.randrange(2) for t in at], "logins": [int(50 * min(1, t / (self.planned / 5))) if t < self.planned else 20 for t in at]}
        self.gauge("vus", [a + b for a, b in zip(vus["orders"], vus["logins"])])
        for name, values in vus.items():
            self.gauge("vus", values, tags={"scenario": name}, part="scenario")
        self.gauge("vus_max", [170] * n)
        self.gauge("queue_depth", [int(600 * (t - self.fail_from) / (self.fail_to - self.fail_from)) + 20 if self.failing(t) else rnd.randrange(8, 24) for t in at], custom=True)
        self.trend("order_value", lambda t: min(rnd.lognormvariate(3.7, 0.9), 252), orders, contains="default", custom=True)
        self.counter("retries", [int(f * rnd.uniform(0.5, 0.9)) for f in failed], custom=True)
        self.gauge("senary_open_sockets", [(70 + rnd.randrange(8) if self.failing(t) else 64 + int(48 * min(1, t / (self.planned / 5))) + rnd.randrange(4)) if t < self.planned else 8 for t in at], own=True)
        busy = lambda t: 31 + rnd.gauss(0, 2)
        self.trend("senary_worker_busy", busy, [4] * n, contains="default", own=True)
        self.trend("senary_worker_lag", lambda t: abs(rnd.gauss(0.4, 0.2)), [4] * n, own=True)
        self.trend("senary_start_lag", lambda t: rnd.lognormvariate(math.log(0.12), 0.25), [4] * n, own=True)
        return self.whole(failed, dropped, requests, checks)

    def whole(self, failed, dropped, requests, checks):
        by = {metric["name"]: metric for metric in self.metrics}
        bad, total = sum(failed), sum(requests)
        has_failed = self.fails and bad > total * 0.01
        state = "running" if self.is_live else "failed" if has_failed else "passed"
        crossed = self.fail_from + 8 * self.step
        lat = lambda name: by[f"tcp_req_duration{{scenario:{name}}}"]["trend"]
        threshold = lambda metric, source, operator, limit, value, kind, contains="default", changes=None: {"metric": metric, "type": kind, "contains": contains, "source": source, "method": source.split("<")[0].split(">")[0], "operator": operator, "limit": limit, "value": value, "ok": value < limit if operator == "<" else value > limit, "has_data": value is not None, "abort": False, "changes": changes or [[2, True]]}
        drops = int(8000 * self.seconds / 310)
        share = by["tcp_req_failed"]["rate"]["rate"]
        thresholds = [
            threshold("tcp_req_failed", "rate<0.01", "<", 0.01, share, "rate", changes=[[2, True], [crossed, False]] if has_failed else None),
            threshold("tcp_req_duration{scenario:orders}", "p(95)<1000", "<", 1000, lat("orders")["p95"], "trend", "time"),
            threshold("tcp_req_duration{scenario:logins}", "p(99)<2500", "<", 2500, lat("logins")["p99"], "trend", "time"),
            threshold("tcp_socket_connecting", "p(95)<20", "<", 20, by["tcp_socket_connecting"]["trend"]["p95"], "trend", "time"),
            threshold("checks", "rate>0.95", ">", 0.95, by["checks"]["rate"]["rate"], "rate"),
            threshold("dropped_iterations", f"count<{drops}", "<", drops, sum(dropped), "counter"),
        ]
        errors, log, events = [], [], []
        if bad > 3:
            says = (("ECONNREFUSED", "connection refused by 10.0.4.17:6380", "orders.js:41"), ("ETIMEDOUT", "no reply to order.place within 5 s", "orders.js:47"), ("ECONNRESET", "the peer reset the connection", "orders.js:47"))
            for code, message, place in says:
                name = f"tcp_errors{{error_code:{code}}}"
                errors.append({"kind": "socket", "code": code, "method": "", "message": message, "place": place, "count": by[name]["counter"]["count"], "first": self.fail_from + 0.2, "last": self.fail_to - 0.3, "series": f"tcp_errors{{error_code={code}}}", "shares": [["scenario", "orders", 0.92], ["scenario", "logins", 0.08]], "remedy": None})
            errors.append({"kind": "dropped", "code": "", "method": "", "message": "all 120 VUs of orders were busy when the iteration was due", "place": "", "count": sum(dropped), "first": self.fail_from + 4, "last": self.fail_to - 2, "series": "dropped_iterations", "shares": [["scenario", "orders", 1.0]], "remedy": "raise maxVUs"})
            log = [{"t": self.fail_from, "level": "warning", "text": "orders: ECONNRESET, the peer reset the connection", "more": 0}, {"t": self.fail_from + 0.2, "level": "error", "text": "connect 10.0.4.17:6380: connection refused at place (orders.js:41:22)", "more": bad}, {"t": self.fail_from + 3.9, "level": "warning", "text": "orders: 120 of 120 VUs busy, iterations are dropped", "more": 0}, {"t": self.fail_to, "level": "info", "text": "10.0.4.17:6380 answers again", "more": 0}]
            events = [{"t": crossed, "word": "crossed", "text": "tcp_req_failed rate<0.01"}] if has_failed else []
        if self.instances > 1 and not self.is_live:
            events.append({"t": self.seconds * 0.94, "word": "lost", "text": "gen-3 lost"})
        instances = []
        for i in range(self.instances):
            lost = self.seconds * 0.94 if i == 2 and not self.is_live else None
            trend = by["tcp_req_duration"]["trend"]
            instances.append({"name": f"gen-{i + 1}", "state": "lost" if lost else "ok", "lost": lost, "requests": total // self.instances, "p50": trend["p50"], "p99": trend["p99"], "failed": share, "cpu": 0.38 + i / 100, "lag": 0.2 + i / 50, "open_files": 318 + i, "open_files_limit": 65536, "memory": 61_000_000 - i * 10**6, "clock": [0, 0.4, -1.1, 0.2][i % 4] if self.instances > 1 else None, "series": "tcp_reqs"})
        run = {"state": state, "phase": "running" if self.is_live else "ended", "script": "orders.js", "target": "10.0.4.17:6380", "start": 1795442531000, "length": self.until, "planned": self.planned, "graceful": 10, "exit_code": None if self.is_live else 99 if has_failed else 0, "reason": None, "error": None, "command": "senary run -e HOST=10.0.4.17 -e TOKEN=•••• --report orders.html orders.js", "version": "1.4.0", "os": "linux", "arch": "x86-64", "cores": 8, "kernel": "6.12", "workers": 4, "host": "gen-1", "tags": {"build": "8812", "branch": "main"}, "options": [["Graceful stop", "10 s"], ["Time-outs", "connect 3 s, request 5 s"], ["Framing", "u32 length, TLS 1.3"]], "can_stop": self.is_live, "complete": not self.is_live}
        ramp = self.planned / 5
        scenarios = [
            {"name": "orders", "executor": "constant-arrival-rate", "words": f"500/s for {int(self.planned)}s, 40 VUs allocated, at most 120", "open": True, "start": 0, "end": self.planned, "graceful": 10, "max_vus": 120, "unit": "iterations/s", "plan": [[0, 500], [self.planned, 500]]},
            {"name": "logins", "executor": "ramping-vus", "words": f"0 → 50 in {int(ramp)}s, then 50 for {int(self.planned - ramp)}s", "open": False, "start": 0, "end": self.planned, "graceful": 10, "max_vus": 50, "unit": "VUs", "plan": [[0, 0], [ramp, 50], [self.planned, 50]]},
        ]
        return {
            "format": "senary-run", "version": 1, "run": run, "scenarios": scenarios, "thresholds": thresholds,
            "generator": {"verdict": "ok", "watched": self.until, "findings": [], "limits": {"busy": 0.9, "loop_lag": 100, "start_lag": 50}, "lost": []},
            "metrics": self.metrics,
            "timeline": {"step": self.step, "from": 0, "intervals": self.n, "limit": 1000, "capped": 0, "histogram": {"per_octave": PER_OCTAVE, "lowest": LOWEST}, "series": self.series},
            "checks": [{"group": group, "name": name, "scenario": "orders", "passes": sum(all_) - sum(f), "fails": sum(f), "series": f"checks{{check={name}}}"} for group, name, f, all_ in checks],
            "errors": errors, "others": [], "instances": instances, "log": log, "events": events,
        }


RUNS = {
    "failed": lambda: Run("failed", instances=4),
    "passed": lambda: Run("passed", fails=False),
    "short": lambda: Run("short", seconds=10, graceful=0, fails=False),
    "long": lambda: Run("long", seconds=30_000, step=10, instances=2),
    "live": lambda: Run("live", instances=4, live_until=204),
}

if __name__ == "__main__":
    json.dump(RUNS[sys.argv[1]]().document(), sys.stdout, separators=(",", ":"), ensure_ascii=False)
