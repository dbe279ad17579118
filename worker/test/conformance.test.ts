import { anthropic } from "../src/vendors/anthropic/adapter.ts";
import { azureOpenAi } from "../src/vendors/azure-openai/adapter.ts";
import { googleVertex } from "../src/vendors/google-vertex/adapter.ts";
import { openai } from "../src/vendors/openai/adapter.ts";
import { acme } from "./example-vendor/adapter.ts";
import { acmeFixture } from "./example-vendor/fixture.ts";
import { anthropicFixture } from "./fixtures/anthropic.ts";
import { azureOpenAiFixture } from "./fixtures/azure-openai.ts";
import { googleVertexFixture } from "./fixtures/google-vertex.ts";
import { openaiFixture } from "./fixtures/openai.ts";
import { describeConformance } from "./vendor-conformance.ts";

describeConformance({ vendor: openai, fixture: openaiFixture });
describeConformance({ vendor: anthropic, fixture: anthropicFixture });
describeConformance({
  vendor: azureOpenAi,
  fixture: azureOpenAiFixture,
  settings: { create_ms: 0, write_ms: 0 },
  renewsTokens: true,
});
describeConformance({ vendor: googleVertex, fixture: googleVertexFixture, renewsTokens: true });
// Its lists lag, within the settle time that the tests wait: what is looked for is not shown at once.
describeConformance({ vendor: acme, fixture: acmeFixture, settings: { list_lag_ms: 20 } });
