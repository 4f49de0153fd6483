// Makes calls with one version of @northflank/js-client, unchanged, and prints what it made of the answers.
// Reads {"version", "host", "token", "calls": [["list.cloud.integrations", {…}], …]} from stdin.
import { text } from "node:stream/consumers";

const { version, host, token, calls } = JSON.parse(await text(process.stdin));
const { ApiClient, ApiClientInMemoryContextProvider } = await import(`js-client-${version}`);
const contexts = new ApiClientInMemoryContextProvider();
await contexts.addContext({ name: "stand-in", token, host });
const client = new ApiClient(contexts);

const results = [];
for (const [path, options] of calls) {
  const call = path.split(".").reduce((found, name) => found[name], client);
  const { data, error, pagination, rawResponse } = await call(options).catch((thrown) => ({ error: String(thrown) }));
  results.push({ data, error, pagination, status: rawResponse?.status });
}
console.log(JSON.stringify(results));
