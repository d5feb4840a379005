// All modules and globals a script can use. To get them in an editor, put this line at a script's top:
//
//   /// <reference path="PATH/TO/senary/api/index.d.ts" />
//
/// <reference path="globals.d.ts" />
/// <reference path="k6.d.ts" />
/// <reference path="k6-crypto.d.ts" />
/// <reference path="k6-data.d.ts" />
/// <reference path="k6-encoding.d.ts" />
/// <reference path="k6-execution.d.ts" />
/// <reference path="k6-experimental.d.ts" />
/// <reference path="k6-html.d.ts" />
/// <reference path="k6-http.d.ts" />
/// <reference path="k6-metrics.d.ts" />
/// <reference path="k6-options.d.ts" />
/// <reference path="k6-secrets.d.ts" />
/// <reference path="k6-timers.d.ts" />
/// <reference path="k6-websockets.d.ts" />
/// <reference path="k6-ws.d.ts" />
/// <reference path="k6-x-tcp.d.ts" />
/// <reference path="senary-tcp.d.ts" />
