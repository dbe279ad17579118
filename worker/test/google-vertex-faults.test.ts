import { describeFaultMatrix, matrixBackends, matrixKills } from "./fault-matrix.ts";
import { googleVertexFixture } from "./fixtures/google-vertex.ts";

describeFaultMatrix(googleVertexFixture, matrixBackends, {}, matrixKills);
