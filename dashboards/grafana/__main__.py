"""Write the dashboards and their rules: `python -m dashboards.grafana`, then commit what changed."""

from dashboards.grafana.files import FOLDER, files

if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
