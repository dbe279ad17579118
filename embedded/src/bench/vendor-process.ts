import { startSimulator } from "@keygate/simulator/start";

/** The simulated vendors as a process of their own, so that their work is not done by whoever measures. */
const simulator = await startSimulator();

const stop = () => void simulator.close().then(() => process.exit(0));
process.once("SIGTERM", stop).once("SIGINT", stop).once("disconnect", stop);
process.send?.({ env: simulator.env, openAiUrl: simulator.vendors.openai.url });
