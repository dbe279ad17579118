import { describeFaultMatrix } from "./fault-matrix.ts";
import { openaiFixture } from "./fixtures/openai.ts";

describeFaultMatrix(openaiFixture, ["redis", "postgres"]);
