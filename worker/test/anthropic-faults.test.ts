import { describeFaultMatrix, matrixBackends, matrixKills } from "./fault-matrix.ts";
import { anthropicFixture } from "./fixtures/anthropic.ts";

describeFaultMatrix(anthropicFixture, matrixBackends, {}, matrixKills);
