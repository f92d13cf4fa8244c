// Answers, for each source on standard input (JSON strings, one a line), whether Google's published grammar accepts it:
// one line each, `{"accepted":true}` or `{"accepted":false,"message":…,"line":…,"column":…}`.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.argv[2], "package.json"));
const parser = require.resolve("@firebase/eslint-plugin-security-rules/parser");
const { parseForESLint } = await import(pathToFileURL(parser).href);

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (line === "") continue;
  let answer;
  try {
    parseForESLint(JSON.parse(line));
    answer = { accepted: true };
  } catch (error) {
    answer = {
      accepted: false,
      message: String(error.message).toWellFormed(),
      line: error.lineNumber ?? null,
      column: error.column ?? null,
    };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
}
