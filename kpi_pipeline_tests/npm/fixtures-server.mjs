// Recorded conversations of GitHub's API, on loopback: node fixtures-server.mjs <port>
// The package's own command listens on every interface, and answers only to the very headers that were recorded.
import express from "express";
import recorded from "@octokit/fixtures";
import fixtures from "@octokit/fixtures-server";

const port = Number(process.argv[2]);
const scenarios = ["paginate-issues", "get-repository", "rename-repository"].map((name) => {
  const conversation = structuredClone(recorded.get(`api.github.com/${name}`));
  for (const { reqheaders } of conversation) {
    for (const header of Object.keys(reqheaders).filter((each) => each !== "host")) delete reqheaders[header];
  }
  return [name, conversation];
});
const app = express();
app.get("/ping", (_request, response) => response.json({ ok: true }));
app.use(
  fixtures({
    port,
    fixturesUrl: `http://127.0.0.1:${port}`,
    logLevel: "error",
    fixtures: Object.fromEntries(scenarios),
  }),
);
app.listen(port, "127.0.0.1");
