import { describeFaultMatrix } from "./fault-matrix.ts";
import { googleVertexFixture } from "./fixtures/google-vertex.ts";

describeFaultMatrix(googleVertexFixture, ["redis", "postgres"]);
