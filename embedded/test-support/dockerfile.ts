import { cpSync, mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, join, posix } from "node:path";

export interface Instruction {
  name: string;
  /** What follows the name, continuation lines joined. */
  text: string;
}

export interface Stage {
  name: string;
  /** An earlier stage's name, or an image. */
  base: string;
  instructions: Instruction[];
}

/** What a container of the last stage would be started with. */
export interface ImageConfig {
  env: Record<string, string>;
  workdir: string;
  user: string | null;
  command: string[] | null;
  healthcheck: string[] | null;
  labels: string;
}

/** Reads the subset of the Dockerfile language that our own files use. @throws on an instruction outside of it. */
export function parseDockerfile(text: string): Stage[] {
  const lines = text
    .replaceAll(/^#.*$/gm, "")
    .replaceAll(/\\\n\s*/g, "")
    .split("\n");
  const stages: Stage[] = [];
  for (const line of lines.map((each) => each.trim()).filter(Boolean)) {
    const [name = "", ...rest] = line.split(/\s+/);
    const known = ["FROM", "WORKDIR", "COPY", "RUN", "ARG", "LABEL", "ENV", "USER", "EXPOSE", "STOPSIGNAL", "CMD"];
    if (![...known, "HEALTHCHECK"].includes(name)) throw new Error(`Not known here: ${line}`);
    if (name === "FROM") stages.push({ base: String(rest[0]), name: String(rest[2]), instructions: [] });
    else stages.at(-1)?.instructions.push({ name, text: line.slice(name.length).trim() });
  }
  return stages;
}

/** Docker's patterns: unlike a shell's, a star also stands for names that begin with a dot. */
const patternOf = (glob: string): RegExp => {
  const source = glob
    .replaceAll(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("**/", "\0")
    .replaceAll("*", "[^/]*")
    .replaceAll("\0", "(?:.*/)?");
  return new RegExp(`^${source}$`);
};

/** Whether `.dockerignore` keeps a path out of the build: the last pattern that fits it or a folder above it decides. */
export function createIgnore(text: string): (path: string) => boolean {
  const patterns = text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => ({ lets: line.startsWith("!"), pattern: patternOf(line.replace(/^!/, "")) }));
  return (path) => {
    const parts = path.split("/");
    const heads = parts.map((_, index) => parts.slice(0, index + 1).join("/"));
    let isIgnored = false;
    for (const { lets, pattern } of patterns) if (heads.some((head) => pattern.test(head))) isIgnored = !lets;
    return isIgnored;
  };
}

/** Copies what a build would be sent, so that a stage cannot use what `.dockerignore` keeps out. */
export function copyContext(root: string, target: string): void {
  const isIgnored = createIgnore(readFileSync(join(root, ".dockerignore"), "utf8"));
  const walk = (folder: string) => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = posix.join(folder, entry.name);
      // A folder that is kept out may hold files that are let in; these two never do, and are large.
      if (entry.isDirectory() && !["node_modules", ".git"].includes(entry.name)) walk(path);
      else if (entry.isFile() && !isIgnored(path)) {
        mkdirSync(join(target, folder), { recursive: true });
        cpSync(join(root, path), join(target, path));
      }
    }
  };
  walk("");
}

/** Does a COPY as BuildKit does: a folder's content, links kept as links. */
function copy(text: string, context: string, layers: string, stageDir: string, workdir: string): void {
  const words = text.split(/\s+/);
  const from = words[0]?.startsWith("--from=") ? words.shift()?.slice("--from=".length) : undefined;
  const target = String(words.pop());
  const inStage = join(stageDir, workdir, target);
  for (const word of words) {
    const source = from ? join(layers, from, word) : join(context, word);
    const isFolder = statSync(source).isDirectory();
    const into = isFolder || !(target.endsWith("/") || words.length > 1) ? inStage : join(inStage, basename(word));
    const destination =
      !isFolder && (target === "./" || target === ".") ? join(stageDir, workdir, basename(word)) : into;
    mkdirSync(isFolder ? destination : join(destination, ".."), { recursive: true });
    cpSync(source, destination, { recursive: true, verbatimSymlinks: true });
  }
}

export interface BuildOptions {
  dockerfile: string;
  context: string;
  /** Each stage gets a folder of its name below it, which stands for the root of its file system. */
  layers: string;
  /** Runs the command of a RUN in a folder. */
  run(command: string, cwd: string): void;
}

/** Executes every stage in order with plain folders in place of images; returns what the last one is started with. */
export function buildStages(options: BuildOptions): ImageConfig {
  const { context, layers } = options;
  let config: ImageConfig | undefined;
  for (const stage of parseDockerfile(readFileSync(options.dockerfile, "utf8"))) {
    const stageDir = join(layers, stage.name);
    mkdirSync(stageDir, { recursive: true });
    const isOnStage = stage.base !== "node:24-slim";
    if (isOnStage) cpSync(join(layers, stage.base), stageDir, { recursive: true, verbatimSymlinks: true });
    const image: ImageConfig = {
      env: {},
      workdir: isOnStage ? "/app" : "/",
      user: null,
      command: null,
      healthcheck: null,
      labels: "",
    };
    for (const { name, text } of stage.instructions) {
      if (name === "WORKDIR") {
        image.workdir = text;
        mkdirSync(join(stageDir, text), { recursive: true });
      } else if (name === "COPY") copy(text, context, layers, stageDir, image.workdir);
      else if (name === "RUN") options.run(text, join(stageDir, image.workdir));
      else if (name === "ENV") {
        for (const pair of text.split(/\s+/)) image.env[String(pair.split("=")[0])] = pair.slice(pair.indexOf("=") + 1);
      } else if (name === "USER") image.user = text;
      else if (name === "CMD") image.command = JSON.parse(text);
      else if (name === "HEALTHCHECK") image.healthcheck = JSON.parse(text.slice(text.indexOf("CMD") + 3));
      else if (name === "LABEL") image.labels += text;
    }
    config = image;
  }
  if (!config) throw new Error("The Dockerfile has no stage.");
  return config;
}
