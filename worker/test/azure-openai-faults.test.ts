import { describeFaultMatrix } from "./fault-matrix.ts";
import { azureOpenAiFixture } from "./fixtures/azure-openai.ts";

describeFaultMatrix(azureOpenAiFixture, ["redis", "postgres"]);
