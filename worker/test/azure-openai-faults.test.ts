import { describeFaultMatrix, matrixBackends, matrixKills, matrixShare } from "./fault-matrix.ts";
import { azureOpenAiFixture } from "./fixtures/azure-openai.ts";

describeFaultMatrix(azureOpenAiFixture, matrixBackends, {}, matrixKills, matrixShare);
