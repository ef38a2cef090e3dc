package grafana

import (
	"context"
	"net/http"

	"github.com/grafana/grafana-openapi-client-go/client/folders"
	"github.com/grafana/grafana-openapi-client-go/models"
)

// folder finds or makes the folder and gives its uid.
func (r *round) folder(ctx context.Context) (string, error) {
	uid, s, err := r.putFolder(ctx)
	if err != nil {
		r.fail(targetFolder, err)
		return "", err
	}
	r.done(targetFolder, s)
	return uid, nil
}

func (r *round) putFolder(ctx context.Context) (uid string, s state, err error) {
	title := r.p.cfg.FolderTitle
	found, err := r.api.Folders.GetFolderByUIDWithParams(folders.NewGetFolderByUIDParamsWithContext(ctx).WithFolderUID(FolderUID))
	switch {
	case err == nil && found.Payload.Title == title:
		return FolderUID, unchanged, nil
	case err == nil:
		s, err = r.wants(repaired, func() error {
			return r.renameFolder(ctx, title, found.Payload.Version)
		})
		return FolderUID, s, err
	case statusOf(err) != http.StatusNotFound && statusOf(err) != http.StatusForbidden:
		return "", "", r.api.explain("read the folder", err)
	}

	// Somebody may have made a folder of that name and given us the right to write there and nowhere else.
	limit := int64(1000)
	list, err := r.api.Folders.GetFolders(folders.NewGetFoldersParamsWithContext(ctx).WithLimit(&limit))
	if err != nil {
		return "", "", r.api.explain("list folders", err)
	}
	for _, f := range list.Payload {
		if f.Title == title {
			return f.UID, unchanged, nil
		}
	}
	s, err = r.wants(created, func() error {
		_, err := r.api.Folders.CreateFolderWithParams(folders.NewCreateFolderParamsWithContext(ctx).
			WithBody(&models.CreateFolderCommand{UID: FolderUID, Title: title}))
		if err != nil {
			return r.api.explain("make the folder "+title, err)
		}
		return nil
	})
	return FolderUID, s, err
}

func (r *round) renameFolder(ctx context.Context, title string, version int64) error {
	_, err := r.api.Folders.UpdateFolderWithParams(folders.NewUpdateFolderParamsWithContext(ctx).WithFolderUID(FolderUID).
		WithBody(&models.UpdateFolderCommand{Title: title, Version: version}))
	if err != nil {
		return r.api.explain("rename the folder to "+title, err)
	}
	return nil
}
