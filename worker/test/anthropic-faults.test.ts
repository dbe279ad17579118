import { describeFaultMatrix } from "./fault-matrix.ts";
import { anthropicFixture } from "./fixtures/anthropic.ts";

describeFaultMatrix(anthropicFixture, ["redis", "postgres"]);
