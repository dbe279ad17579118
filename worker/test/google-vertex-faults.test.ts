import { describeFaultMatrix, matrixBackends } from "./fault-matrix.ts";
import { googleVertexFixture } from "./fixtures/google-vertex.ts";

describeFaultMatrix(googleVertexFixture, matrixBackends);
