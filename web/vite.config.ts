import tailwind from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const api = process.env.KEYGATE_API ?? "http://localhost:8000";

export default defineConfig({
  root: import.meta.dirname,
  plugins: [react(), tailwind()],
  build: {
    target: "es2024",
    // Everything is served by the API itself: a file inlined as data: would need a weaker policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: { port: 5173, proxy: { "/api": api, "/docs": api, "/redoc": api, "/queues": api, "/openapi.json": api } },
});
